//! An agent that sends without a pause: the caller is heard all the same.

use crate::harness::{PATIENCE, TestShop, client};
use bobarista::simulator::Script;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

/// An agent that sends messages as fast as they are taken, and how many it has sent. They make no sound, which would flood
/// the telephone in turn.
async fn flood() -> (SocketAddr, watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sent, sending) = watch::channel(0);
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a call");
        let mut socket = accept_async(socket).await.expect("a handshake");
        socket.send(Message::text(r#"{"type":"Welcome","request_id":"flood"}"#)).await.expect("a listener");
        socket.next().await.expect("the settings").expect("the settings");
        socket.send(Message::text(r#"{"type":"SettingsApplied"}"#)).await.expect("a listener");
        // Taking one in is slower than sending it, so there is always one more.
        while socket.feed(Message::text(r#"{"type":"AgentThinking","content":"hm"}"#)).await.is_ok() {
            sent.send_modify(|sent| *sent += 1);
        }
    });
    (address, sending)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_pauses_does_not_keep_the_caller_from_hanging_up() {
    let (agent, mut sending) = flood().await;
    let agent = format!("ws://{agent}/v1/agent/converse");
    let settings = [("DG_AGENT_URL", agent.as_str()), ("AGENT_AUDIO", "mulaw")];
    let shop = TestShop::open_with([Script::boba()], &settings).await;

    let address = shop.shop.address();
    let form = [("CallSid", "CAflood"), ("From", "+15551234567"), ("To", "+15557654321")];
    let answer = client().post(format!("http://{address}/voice")).form(&form).send().await.expect("an answer");
    let twiml = answer.text().await.expect("TwiML");
    let (_, token) = twiml.split_once(r#"name="token" value=""#).expect("a token");
    let token = token.split('"').next().expect("a token");
    let (mut phone, _) = connect_async(format!("ws://{address}/twilio")).await.expect("a stream");
    let start = json!({
        "event": "start", "sequenceNumber": "1", "streamSid": "MZflood",
        "start": {
            "streamSid": "MZflood", "accountSid": "AC0", "callSid": "CAflood", "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    });
    phone.send(Message::text(start.to_string())).await.expect("a listener");
    let until_the_end = async {
        // Well within the flood.
        sending.wait_for(|sent| *sent >= 20_000).await.expect("the flood goes on");
        let stop = r#"{"event":"stop","sequenceNumber":"2","streamSid":"MZflood","stop":{}}"#;
        phone.send(Message::text(stop)).await.expect("a listener");
        while let Some(Ok(message)) = phone.next().await
            && !message.is_close()
        {}
    };
    tokio::time::timeout(PATIENCE, until_the_end).await.expect("the call ends because its caller hung up");
    shop.at_rest().await;
    let metrics = shop.get("/metrics").await.text;
    assert!(metrics.contains("bobarista_calls_ended_total{reason=\"caller_hung_up\"} 1"), "{metrics}");
}
