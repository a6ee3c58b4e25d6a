//! The program from outside: whole calls, pages and commands over real sockets, files and processes.

// Whole shops in one future: what they await is deeply nested.
#![recursion_limit = "256"]

mod api_v1;
mod architecture;
mod browser;
mod calls;
mod commands;
mod commands_orders;
mod console;
mod crash;
mod dashboards;
mod deliveries;
mod door;
mod drain;
mod edge;
mod faults;
mod faults_disk;
mod flood;
mod fuzz;
mod harness;
mod keys;
mod logs;
mod matrix;
mod orders_api;
mod outbox;
mod photos;
mod pos;
mod pos_clients;
mod proxies;
mod random;
mod seen;
mod settings;
mod shop;
mod sign_in;
mod soak;
mod tables;
mod texts;
