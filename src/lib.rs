//! The phone line that takes the order: Twilio's media stream bridged to Deepgram's voice agent, whose tools fill a cart,
//! whose orders are kept on disk and shown live.
//!
//! # The map
//!
//! One direction of flow: call → bridge → tools → order service → store → events → web. Each room opens with what it
//! does and what it deliberately does not know.
//!
//! | room | what it is |
//! |---|---|
//! | [`commands`] | what the program can be told to do |
//! | [`app`] | builds every part from the configuration; the only place that knows them all |
//! | [`config`] | every setting, typed, read once |
//! | [`call`] | one call: Twilio's webhooks and socket, from its token to how it goes on afterwards |
//! | [`bridge`] | joins the two legs of a call: a state machine without IO, and the loop around it |
//! | [`audio`] | µ-law, resampling, framing; pure |
//! | [`twilio`], [`deepgram`] | the languages of the two services; they meet only in the bridge |
//! | [`tools`] | what the agent may do, and the guardrails it cannot talk its way around |
//! | [`ordering`] | the shop's rules: menu, matching, cart, order, money, phone numbers; pure |
//! | [`shop`] | the shop at this moment: does it take orders, what is sold out, when could a drink be ready |
//! | [`order_service`] | the only writer of orders: checks, saves, announces, owes deliveries |
//! | [`store`] | orders in files, in SQLite or in DynamoDB, committed whole or not at all; and what else is durable |
//! | [`staff`] | who may come in: the password, sign-ins, guesses, the TV's link |
//! | [`outbox`] | sends what is owed because of orders |
//! | [`pos`] | points of sale that an order may have to pass |
//! | [`table`] | guests at one table: a shared cart, live |
//! | [`logbook`] | what is kept of calls that have ended, and for how long |
//! | [`metrics`] | the figures of a server, as Prometheus scrapes them |
//! | [`voicemail`] | messages of callers whom no agent could serve |
//! | [`http`] | what every client of an HTTP service needs of an answer |
//! | [`rates`] | how often something may happen, and how often it is told; pure |
//! | [`events`] | what has just changed, numbered and replayable |
//! | [`web`] | pages, lists and live feeds; the only mapping from errors to HTTP |
//! | [`simulator`] | Twilio, Deepgram and a whole shop, played over real sockets |
//!
//! What is absent matters as much: nothing in `ordering`, `audio` or `bridge::session` knows a clock or a socket; nothing
//! below `call` and `web` knows HTTP; no order is changed but by the order service.

pub mod app;
pub mod audio;
pub mod bridge;
pub mod call;
pub mod commands;
pub mod config;
pub mod deepgram;
pub mod events;
pub mod http;
pub mod logbook;
pub mod metrics;
pub mod order_service;
pub mod ordering;
pub mod outbox;
pub mod pos;
pub mod rates;
pub mod shop;
pub mod simulator;
pub mod staff;
pub mod store;
pub mod table;
pub mod tools;
pub mod twilio;
pub mod voicemail;
pub mod web;
