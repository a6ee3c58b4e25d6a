//! The program from outside: whole calls, pages and commands over real sockets, files and processes.

mod architecture;
mod calls;
mod commands;
mod dashboards;
mod deliveries;
mod door;
mod faults;
mod harness;
mod logs;
mod orders_api;
mod settings;
mod shop;
mod texts;
