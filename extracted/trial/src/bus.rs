//! The bus between the test and the program.

use std::{process::Stdio, sync::Arc};

use async_nats::jetstream;
use boxoffice_kit::{Event, bus::Bus};
use jiff::Timestamp;
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::{Legacy, until};

/// How events travel. A NATS server is the test's own: streams of two tests would mix.
#[derive(Clone)]
pub enum Carrier {
    /// Posted.
    Http,
    /// Published.
    Nats(Arc<Server>),
    /// Nothing arrives; what the test sends is posted.
    Nowhere,
}

/// A NATS server that ends with the test.
pub struct Server {
    address: String,
    _process: Child,
    _folder: TempDir,
}

impl Carrier {
    /// Starts a server.
    pub async fn nats() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("nats-server")
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", "-1", "--store_dir"])
            .arg(folder.path())
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nats-server: `scripts/setup --test` installs it");
        let ports = folder.path().join(format!("nats-server_{}.ports", process.id().unwrap()));
        until("the NATS server says where it is", || async {
            std::fs::read_to_string(&ports).is_ok_and(|text| text.trim_end().ends_with('}'))
        })
        .await;
        let ports: Value = serde_json::from_str(&std::fs::read_to_string(&ports).unwrap()).unwrap();
        let address = ports["nats"][0].as_str().unwrap().to_owned();
        Self::Nats(Arc::new(Server { address, _process: process, _folder: folder }))
    }

    pub(crate) fn bus(&self) -> Bus {
        match self {
            Self::Http => Bus::Http,
            Self::Nats(server) => Bus::Nats(server.address.clone()),
            Self::Nowhere => Bus::Nats("nats://127.0.0.1:1".to_owned()),
        }
    }

    /// What the program has published so far of a type.
    pub async fn published(&self, legacy: &Legacy, kind: &str) -> Vec<Event> {
        let Self::Nats(server) = self else { return legacy.events(kind) };
        let context = jetstream::new(async_nats::connect(&server.address).await.unwrap());
        let mut stream = context.get_stream("BOXOFFICE").await.unwrap();
        let mut events = Vec::new();
        for number in 1..=stream.info().await.unwrap().state.last_sequence {
            let message = stream.get_raw_message(number).await.unwrap();
            if message.subject.as_str() == format!("bo.v1.{kind}") {
                events.push(serde_json::from_slice(&message.payload).unwrap());
            }
        }
        events
    }

    pub(crate) async fn send(&self, client: &Client, to: &str, kind: &str, raw: &[u8]) {
        match self {
            Self::Http | Self::Nowhere => {
                until("the event is taken", || async {
                    let request = client.post(format!("{to}/internal/events")).body(raw.to_vec());
                    request.send().await.is_ok_and(|answer| answer.status().is_success())
                })
                .await;
            }
            Self::Nats(server) => {
                let context = jetstream::new(async_nats::connect(&server.address).await.unwrap());
                let published = || async {
                    let receipt = context.publish(format!("bo.v1.{kind}"), raw.to_vec().into()).await;
                    // The program makes the stream when it starts.
                    match receipt {
                        Ok(receipt) => receipt.await.is_ok(),
                        Err(_) => false,
                    }
                };
                until("the event is published", published).await;
            }
        }
    }
}

/// An event as another program would send it.
pub fn event(kind: &str, aggregate: &str, version: i64, data: Value) -> Event {
    let id = Uuid::now_v7();
    Event {
        id,
        kind: kind.to_owned(),
        schema: 1,
        aggregate: aggregate.to_owned(),
        aggregate_version: version,
        occurred_at: Timestamp::UNIX_EPOCH,
        correlation_id: id,
        causation_id: None,
        data,
    }
}
