//! The phone line that takes the order: Twilio's media stream bridged to Deepgram's voice agent, whose tools fill a cart,
//! whose orders are kept on disk and shown live.

pub mod app;
pub mod audio;
pub mod bridge;
pub mod call;
pub mod config;
pub mod deepgram;
pub mod events;
pub mod order_service;
pub mod ordering;
pub mod outbox;
pub mod shop;
pub mod simulator;
pub mod store;
pub mod tools;
pub mod twilio;
pub mod web;
