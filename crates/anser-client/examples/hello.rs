//! Two users say hello to each other: `cargo run -p anser-client --example hello -- http://127.0.0.1:8080 APP_KEY APP_SECRET`.

use anser_client::admin::Admin;
use anser_client::{Client, ClientEvent, Conversation, Transport};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [http, app_key, app_secret] = arguments.as_slice() else {
        return Err("usage: hello HTTP_ADDRESS APP_KEY APP_SECRET".into());
    };
    // What the app's backend does, and never the client itself: the secret stays there.
    let mut backend = Admin::new(http, app_key, app_secret)?;
    let (alice_token, bob_token) = (backend.token("alice").await?, backend.token("bob").await?);

    let (alice, _alice_events) = Client::builder(http, app_key, &alice_token).connect().await?;
    let (bob, mut bob_events) = Client::builder(http, app_key, &bob_token).transport(Transport::Tcp).connect().await?;

    let ack = alice.text(Conversation::private("bob")?, "hello").await?;
    println!("alice: acked as {} at {}", ack.uid, ack.sent);
    while let Some(event) = bob_events.next().await {
        if let ClientEvent::Message(message) = event
            && message.uid == ack.uid
        {
            println!("bob: {} says {:?}", message.sender, message.text().unwrap_or_default());
            break;
        }
    }
    let page = bob.history(&Conversation::private("alice")?, anser_client::Timestamp::ZERO, 20).await?;
    println!("bob: {} messages in history", page.messages.len());
    alice.close().await;
    bob.close().await;
    Ok(())
}
