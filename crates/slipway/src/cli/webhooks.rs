//! `slipway webhooks`

use clap::{Args, Subcommand};
use common::id::{WebhookDeliveryId, WebhookId};
use url::Url;

use super::PlatformArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct WebhooksArgs {
    #[command(subcommand)]
    pub(crate) command: Option<WebhooksCommand>,
    /// The account, by name or id [default: the only one]
    #[arg(long, value_name = "ACCOUNT", global = true)]
    pub(crate) account: Option<String>,
    /// Write JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List them
    List,
    /// Have events told to an address, and print the secret that they are signed with
    Add {
        /// Where messages are sent
        #[arg(value_name = "URL")]
        url: Url,
        /// Types of events, or their beginnings (`build.*`) [default: all]
        #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
        events: Vec<String>,
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Send to one again that is disabled
    Enable {
        /// The webhook
        id: WebhookId,
    },
    /// Send nothing to one for now
    Disable {
        /// The webhook
        id: WebhookId,
    },
    /// Delete one
    Remove {
        /// The webhook
        id: WebhookId,
    },
    /// Make and print a new secret; the one before signs too for a while
    Rotate {
        /// The webhook
        id: WebhookId,
        /// For how long, such as `1h`; 0 for not at all [default: 24h]
        #[arg(long, value_name = "TIME")]
        overlap: Option<String>,
    },
    /// Send one a test
    Test {
        /// The webhook
        id: WebhookId,
    },
    /// Show what was sent to one, newest first
    Deliveries {
        /// The webhook
        id: WebhookId,
        /// Only what wasn't taken
        #[arg(long)]
        failed: bool,
        /// The most that are shown, 100 at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Send something again
    Replay {
        /// The webhook
        id: WebhookId,
        /// What `deliveries` lists
        delivery: WebhookDeliveryId,
    },
}
