//! A chat in the terminal: `cargo run -p anser-client --example chat -- http://127.0.0.1:8080 APP_KEY APP_SECRET alice bob`.

use anser_client::Transport;
use anser_client::chat::{ChatOptions, ChatWith, run};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [http, app_key, app_secret, user, to] = arguments.as_slice() else {
        return Err("usage: chat HTTP_ADDRESS APP_KEY APP_SECRET USER TO".into());
    };
    let options = ChatOptions {
        http: http.clone(),
        app_key: app_key.clone(),
        app_secret: app_secret.clone(),
        user: user.clone(),
        with: ChatWith::User(to.clone()),
        transport: Transport::Ws,
    };
    Ok(run(options).await?)
}
