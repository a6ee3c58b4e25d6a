//! Says what is configured, what is missing, and whether the menu is valid, without starting anything.

use crate::app::{load_menu, read_config};
use crate::config::{Config, ConfigError, Exposure, Lookup, PosConfig, SETTINGS};
use std::process::ExitCode;

pub(super) fn run(lookup: Lookup<'_>) -> ExitCode {
    let read = read_config(lookup);
    print_settings(lookup, read.as_ref().err());
    match &read {
        Err(error) => println!("\n{error}"),
        Ok(config) => {
            print_what_it_means(config);
            print_menu(config);
        }
    }
    println!("\n{}", if read.is_ok() { "ready to start" } else { "not ready to start" });
    if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_settings(lookup: Lookup<'_>, error: Option<&ConfigError>) {
    let given = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    for setting in SETTINGS {
        let wrong = error.is_some_and(|error| error.problems.iter().any(|problem| problem.name == setting.name));
        let state = match (given(setting.name), given(&format!("{}_FILE", setting.name))) {
            (Some(_), _) if setting.secret => "set (not shown)".to_owned(),
            (Some(value), _) => value,
            (None, Some(file)) if setting.secret => format!("from the file {file}"),
            (None, _) if setting.default.is_empty() => "not set".to_owned(),
            (None, _) => format!("default: {}", setting.default),
        };
        println!("{} {:<24} {state}", if wrong { "✗" } else { " " }, setting.name);
    }
}

fn print_what_it_means(config: &Config) {
    let telephone = &config.telephone;
    let (scheme, host) = (config.http_scheme(), &telephone.voice_host);
    println!();
    match config.server.exposure {
        Exposure::Public => println!("public server: Twilio's voice webhook is {scheme}://{host}/voice"),
        Exposure::Local => println!("local server: only this machine can reach it; set VOICE_HOST to serve calls"),
    }
    match (&telephone.texts, &telephone.auth_token) {
        (Some(account), _) => println!("texts are sent from {}", account.from),
        (None, _) => println!(
            "texts are not sent: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM_E164 (or their MSG_ forms) are \
             needed"
        ),
    }
    if telephone.account_sid.is_none() || telephone.auth_token.is_none() {
        println!("calls cannot be hung up through Twilio's API: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are needed");
    }
    match config.pos {
        PosConfig::None => println!("orders are taken at once: there is no point of sale"),
        PosConfig::Simulated(_) => println!("orders pass a simulated point of sale, which refuses some"),
        PosConfig::Http(_) => println!("orders pass the till at POS_URL"),
        PosConfig::Square(_) => println!("orders pass Square"),
    }
    if config.tables.order_ahead {
        println!("orders ahead are taken at {scheme}://{host}/menu");
    }
    if config.server.staff_password.is_none() {
        println!("the console is open to everybody on this machine: STAFF_PASSWORD is not set");
    }
}

fn print_menu(config: &Config) {
    let name = config.shop.menu_file.as_ref().map_or("the built-in menu".to_owned(), |path| path.display().to_string());
    // A menu that cannot be used is told with the settings.
    if let Ok(menu) = load_menu(config) {
        println!("{name} is valid: {}, {} kinds of drink", menu.name(), menu.base().options.len());
    }
}
