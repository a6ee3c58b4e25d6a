//! The table of settings: what `.env.example` must list and `bobarista check` reports.

/// One setting of the environment or `.env`.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// Whether its value must never be shown; such a one may also come from the file `NAME_FILE` names.
    pub secret: bool,
    /// What holds when it is not set, in words where it is no literal value.
    pub default: &'static str,
    /// One line for operators.
    pub about: &'static str,
}

const fn plain(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, secret: false, default, about }
}

const fn secret(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, secret: true, default, about }
}

/// Every setting that the program reads, in the order of `.env.example`.
pub const SETTINGS: &[Setting] = &[
    secret("DEEPGRAM_API_KEY", "", "key of the Deepgram project that hosts the voice agent"),
    plain("DG_AGENT_URL", "wss://agent.deepgram.com/v1/agent/converse", "where the voice agent is dialled"),
    plain("AGENT_LANGUAGE", "en", "language that the agent listens for"),
    plain("AGENT_STT_MODEL", "nova-3", "speech-to-text model"),
    plain("AGENT_THINK_MODEL", "gemini-2.5-flash", "language model"),
    plain("AGENT_THINK_PROVIDER", "from the model's name", "google, open_ai, anthropic, groq or aws_bedrock"),
    plain("AGENT_TTS_MODEL", "aura-2-odysseus-en", "text-to-speech voice"),
    plain("AGENT_GREETING", "from the menu", "the agent's first sentence"),
    plain("AGENT_PROMPT_FILE", "built in", "a file whose text replaces the built-in prompt"),
    plain("AGENT_AUDIO", "linear16", "linear16 (48 kHz up, 24 kHz down) or mulaw (8 kHz, no conversion)"),
    plain("TWILIO_ACCOUNT_SID", "", "account of the phone number that is called"),
    secret("TWILIO_AUTH_TOKEN", "", "primary auth token: proves that a webhook is Twilio's"),
    plain("TWILIO_FROM_E164", "", "the number that is called, such as +15551234567"),
    plain("MSG_TWILIO_ACCOUNT_SID", "TWILIO_ACCOUNT_SID", "account that sends the texts"),
    secret("MSG_TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN", "auth token of the account that sends the texts"),
    plain("MSG_TWILIO_FROM_E164", "TWILIO_FROM_E164", "number that the texts come from"),
    plain("VOICE_HOST", "BIND_ADDR", "public host name (and port) that Twilio reaches, such as voice.example.com"),
    plain("WS_SCHEME", "wss; ws on loopback", "scheme of the media WebSocket"),
    plain("CLOSE_ON_PHRASE", "true", "end the call when the agent's own text holds CLOSING_PHRASE"),
    plain("CLOSING_PHRASE", "Goodbye!", "the phrase; case and spacing do not matter"),
    plain("HANGUP_DELAY_MS", "300", "silence kept after the goodbye was heard, in milliseconds"),
    plain("TWILIO_API_BASE", "https://api.twilio.com", "base URL of Twilio's REST API"),
    plain("TRANSFER_NUMBER", "", "a person's number; when set, the agent may transfer the call"),
    plain("PHONE_REGION", "US", "country whose national phone numbers callers say"),
    plain("SMS_COUNTRIES", "PHONE_REGION", "countries that are texted, comma separated"),
    plain("SHOP_ID", "main", "the shop's part of order ids: letters, digits, _ and -"),
    plain("MENU_FILE", "menus/boba.toml, built in", "what the shop sells and says"),
    plain("ORDERING_ENABLED", "true", "false: calls are answered, orders are declined"),
    plain("FINAL_CONFIRMATION", "multi_item", "always, multi_item or never ask for a yes to the whole order"),
    plain("READY_HOURS", "12", "a ready order that nobody picked up is completed after this many hours"),
    plain("MAX_CALLS", "40", "calls at once; keep it below the agent's own cap, so that nobody meets that one"),
    plain("CALLS_PER_HOUR", "20", "calls that one caller may make within an hour"),
    plain("MAX_CALL_SECONDS", "900", "longest call, in seconds"),
    plain("CALLER_IDLE_SECONDS", "15", "a silent caller is asked after so long, and again, and then told goodbye"),
    plain(
        "MAX_TALK_SECONDS",
        "180",
        "music or a recorded voice that has gone on for so long, to no effect, is told goodbye",
    ),
    plain(
        "AGENT_SESSION_SECONDS",
        "6600",
        "an agent's session this old is renewed in a pause; Deepgram's end after two hours",
    ),
    plain(
        "FALLBACK",
        "transfer where TRANSFER_NUMBER is set, else sentence",
        "what callers get whom no agent can serve: transfer, voicemail or sentence",
    ),
    plain("DRAIN_SECONDS", "300", "how long calls may go on once the server is asked to stop"),
    plain("CALL_RECORDS", "timeline", "what is kept of a call, for RETENTION_DAYS: none, timeline or transcript"),
    plain("ORDER_MANAGER_TYPE", "json", "where orders are kept: json, sqlite or dynamodb"),
    plain("ORDERS_DIR", "orders", "folder of the json store"),
    plain("SQLITE_PATH", "ORDERS_DIR/orders.db", "file of the sqlite store"),
    plain("DYNAMODB_TABLE", "orders", "table of the dynamodb store"),
    plain("AWS_REGION", "as AWS's own tools find it", "region of the dynamodb store"),
    plain("AWS_ENDPOINT_URL", "AWS's own", "another endpoint of DynamoDB, for an emulator"),
    plain("CLEAR_ORDERS_ON_START", "false", "true: delete all orders at every start"),
    plain("RETENTION_DAYS", "30", "after so many days customers' data is erased from closed orders; 0: never"),
    plain("SHEETS_SYNC_ENABLED", "false", "true: every order is a row of a Google spreadsheet"),
    plain("SHEETS_SPREADSHEET_ID", "", "the spreadsheet, by the part of its address between /d/ and /edit"),
    plain("SHEETS_SHEET_NAME", "Orders", "the sheet in it that the rows are written to; it must be there"),
    secret(
        "GOOGLE_SHEETS_CREDENTIALS",
        "",
        "key file (JSON) of the service account that the spreadsheet is shared with",
    ),
    plain("SHEETS_API_BASE", "https://sheets.googleapis.com", "base URL of the Google Sheets API"),
    plain("WEBHOOK_URL", "", "address that is told of every order; https, or http on this machine"),
    secret("WEBHOOK_SECRET", "", "signs what is sent to WEBHOOK_URL"),
    plain("POINT_OF_SALE", "none", "which point of sale has to accept an order: none, simulated, http or square"),
    plain("POS_DELAY_MS", "3000", "simulated: how long it thinks about an order, in milliseconds"),
    plain("POS_FAILURE_PERCENT", "10", "simulated: how many of a hundred orders it refuses"),
    plain("POS_URL", "", "http: address that takes the tickets; https, or http on this machine"),
    secret("POS_SECRET", "", "http: signs what is sent to POS_URL"),
    secret("SQUARE_ACCESS_TOKEN", "", "square: access token of the seller"),
    plain("SQUARE_LOCATION_ID", "", "square: the location that orders belong to"),
    plain("SQUARE_API_BASE", "https://connect.squareup.com", "square: base URL of its API, or of its sandbox"),
    plain("ORDER_AHEAD", "false", "true: guests order ahead at /menu, without a table"),
    plain("TABLE_OPEN_MINUTES", "20", "for so long after the first scan, whoever scans a table's code joins its cart"),
    plain("TABLE_IDLE_MINUTES", "180", "a table's session that nobody uses for so many minutes ends"),
    plain("AMBER_MINUTES", "5", "on the console an order's age turns amber after so many minutes"),
    plain("RED_MINUTES", "8", "and red after so many"),
    plain("TV_NAMES", "false", "true: the TV shows the first name beside the number"),
    plain("TV_READY_MINUTES", "20", "a ready order leaves the TV after so many minutes, picked up or not"),
    secret(
        "TV_TOKEN",
        "",
        "when set, the TV opens only by a link, which the console shows and can revoke; 16 characters or more",
    ),
    plain("CALL_TRANSCRIPTS", "false", "true: staff may read on the console what is said in a call, while it lasts"),
    plain("BIND_ADDR", "127.0.0.1:8000", "address and port to listen on"),
    secret("STAFF_PASSWORD", "", "password that staff sign in with; or its argon2 hash ($argon2id$...)"),
    plain("STAFF_IDLE_HOURS", "12", "a sign-in that is not used for so many hours ends"),
    plain("STAFF_SESSION_HOURS", "168", "the longest that a sign-in lasts, in hours"),
    secret("API_KEY", "", "bearer key that opens the staff routes to programs"),
    plain("TRUSTED_PROXIES", "127.0.0.0/8,::1", "proxies whose X-Forwarded-For is believed: addresses or networks"),
    plain("REQUEST_RATE", "50", "requests a second that one address may make"),
    plain("MAX_FEEDS", "1000", "live feeds open at once"),
    plain("LOG_LEVEL", "info", "error, warn, info, debug or trace; or a filter such as bobarista=debug,info"),
    plain("LOG_FORMAT", "text", "text or json"),
];
