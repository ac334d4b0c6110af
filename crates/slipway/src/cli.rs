//! What can be said on the command line.

mod webhooks;

pub(crate) use webhooks::{WebhooksArgs, WebhooksCommand};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

/// A self-hosted platform: give it a repository, get back a live app behind an API gateway.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole platform in this process
    Up(UpArgs),
    /// Make a live app of a directory, a Git bundle or a Git repository
    Deploy(DeployArgs),
    /// List the apps
    Apps(AppsArgs),
    /// Show what an app, or one of its builds, has written
    Logs(LogsArgs),
    /// Print an app's address and open it in a browser
    Open(AppArgs),
    /// See and decide about the previews of an app's pull requests
    Previews(PreviewsArgs),
    /// Stop an app until somebody asks for it, or say after how long that is done
    Sleep(SleepArgs),
    /// Start an app that sleeps
    Wake(AppArgs),
    /// Have so many instances of an app run
    Scale(ScaleArgs),
    /// Start an app anew, with its variables as they are now and without a failed request
    Restart(AppArgs),
    /// Answer requests for an app with a page that says it is in maintenance
    Maintenance(MaintenanceArgs),
    /// Show how often you have called what, as bars or as a picture
    Usage(UsageArgs),
    /// Have an account's events told to addresses, and see what came of it
    Webhooks(WebhooksArgs),
    /// List the mail that is kept where no mail server is set
    Mail(MailArgs),
    /// Sign in at a platform, in a browser
    Login(LoginArgs),
    /// Sign out of a platform
    Logout(LogoutArgs),
    /// What operators do: signing keys, people, the audit log
    Admin(AdminArgs),
    /// Show the settings in effect, secrets redacted
    Config(ConfigArgs),
    /// Find out what is wrong, and what to do about it
    Doctor(DoctorArgs),
    /// Go through the main job, from the first registration to the usage count, and explain each step
    Demo(DemoArgs),
    /// Serve a directory: what the platform runs for an app that is files only
    #[command(name = "__static", hide = true, disable_help_flag = true)]
    Static {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UpArgs {
    /// Where everything is kept [default: .slipway]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The public port [default: that of `gateway.public_url`, 8080]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// The settings file [default: slipway.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Where the platform is, and whence the right to use it.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlatformArgs {
    /// The platform's address
    #[arg(
        long,
        env = "SLIPWAY_URL",
        value_name = "URL",
        default_value = "http://localhost:8080"
    )]
    pub(crate) url: Url,
    /// The platform's data, for the admin's credentials: used without `SLIPWAY_TOKEN`,
    /// `SLIPWAY_ADMIN_EMAIL` with `SLIPWAY_ADMIN_PASSWORD`, and `slipway login`
    #[arg(
        long,
        env = "SLIPWAY_DATA_DIR",
        value_name = "DIR",
        default_value = ".slipway"
    )]
    pub(crate) data_dir: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DeployArgs {
    /// A directory, a Git bundle, or the address of a Git repository
    #[arg(value_name = "PATH|BUNDLE|GIT-URL")]
    pub(crate) source: String,
    /// The app's name [default: the source's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The account, by name or id [default: the only one]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The environment; one that isn't there is made
    #[arg(long, value_name = "NAME", default_value = "production")]
    pub(crate) env: String,
    /// Give the environment a database of its own
    #[arg(long)]
    pub(crate) database: bool,
    /// Write one JSON event a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AppsArgs {
    /// Only this account's, by name or id
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// A build's log instead of the app's; `last` is the newest
    #[arg(long, value_name = "ID")]
    pub(crate) build: Option<String>,
    /// Go on with what comes
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// An app, and where it runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct AppArgs {
    /// The app, by name or id
    pub(crate) app: String,
    /// The environment
    #[arg(long, value_name = "NAME", default_value = "production")]
    pub(crate) env: String,
    /// The account, where several have an app of this name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// How many
    #[arg(value_name = "N")]
    pub(crate) instances: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MaintenanceArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// From now on, or no more
    #[arg(value_enum, value_name = "on|off")]
    pub(crate) state: Switch,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It is
    On,
    /// It isn't
    Off,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SleepArgs {
    /// From now on whenever nobody has asked for it so long: `90s`, `30m`, `12h`, `7d`
    #[arg(long, value_name = "TIME", conflicts_with = "never")]
    pub(crate) after: Option<chassis::settings::Duration>,
    /// Not any more by itself
    #[arg(long)]
    pub(crate) never: bool,
    #[command(flatten)]
    pub(crate) app: AppArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PreviewsArgs {
    #[command(subcommand)]
    pub(crate) command: PreviewsCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PreviewsCommand {
    /// List an app's previews
    List {
        #[command(flatten)]
        app: PreviewedArgs,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a fork's commit run, without secrets: that very one, not those that follow
    Approve {
        /// The pull request's number
        number: i64,
        /// The whole number of the commit that you have looked at
        #[arg(long, value_name = "SHA")]
        commit: String,
        #[command(flatten)]
        app: PreviewedArgs,
    },
    /// Build a preview anew; one that was removed comes back
    Rebuild {
        /// The pull request's number
        number: i64,
        #[command(flatten)]
        app: PreviewedArgs,
    },
    /// Remove a preview, with its database
    Remove {
        /// The pull request's number
        number: i64,
        #[command(flatten)]
        app: PreviewedArgs,
    },
    /// Give pull requests previews, from their next commit on
    On {
        /// Copy secret variables, too; forks never get them
        #[arg(long)]
        secrets: bool,
        /// How many there are at most at a time
        #[arg(long, value_name = "N")]
        most: Option<i32>,
        #[command(flatten)]
        app: PreviewedArgs,
    },
    /// Give pull requests no previews; those that there are go
    Off {
        #[command(flatten)]
        app: PreviewedArgs,
    },
}

/// Which app's previews.
#[derive(Clone, Debug, Args)]
pub(crate) struct PreviewedArgs {
    /// The app, by name or id
    #[arg(long = "project", value_name = "APP")]
    pub(crate) app: String,
    /// The account, where several have an app of this name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UsageArgs {
    /// From when on: a day, or a time (RFC 3339) [default: thirty days before the end]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until when: a day, or a time [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// What a bar stands for
    #[arg(long, value_enum, default_value_t = UsageBy::Endpoint)]
    pub(crate) by: UsageBy,
    /// Whose calls, for operators
    #[arg(long, value_name = "USER-ID")]
    pub(crate) user: Option<String>,
    /// The most bars; what is left out is one more
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) limit: usize,
    /// Draw a picture instead: an .svg or .png file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) plot: Option<PathBuf>,
    /// Write one JSON row a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

/// What calls are summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageBy {
    /// Service, method and endpoint
    Endpoint,
    /// Day (UTC)
    Day,
    /// API key
    Key,
}

impl UsageBy {
    /// As the platform calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Day => "day",
            Self::Key => "key",
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MailArgs {
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The platform's data, under which it is kept
    #[arg(
        long,
        env = "SLIPWAY_DATA_DIR",
        value_name = "DIR",
        default_value = ".slipway"
    )]
    pub(crate) data_dir: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoginArgs {
    /// The platform's address
    #[arg(
        long,
        env = "SLIPWAY_URL",
        value_name = "URL",
        default_value = "http://localhost:8080"
    )]
    pub(crate) url: Url,
    /// Sign in as an operator, for `slipway admin`
    #[arg(long)]
    pub(crate) admin: bool,
    /// Only print the page's address
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The platform's address
    #[arg(
        long,
        env = "SLIPWAY_URL",
        value_name = "URL",
        default_value = "http://localhost:8080"
    )]
    pub(crate) url: Url,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// List, replace or revoke the keys that tokens are signed with
    Keys(KeysArgs),
    /// Take in people from elsewhere, with the hashes of their passwords
    Import(ImportArgs),
    /// Who can sign in: list, look up, disable, delete, make an admin
    Users(UsersArgs),
    /// Show who did what, newest first
    Audit(AuditArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: Option<KeysCommand>,
    /// Write JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List them
    List,
    /// Have the next key sign, as soon as everybody can know it
    Rotate {
        /// At once, though verifiers outside the platform may not know it for some minutes
        #[arg(long)]
        now: bool,
    },
    /// End a key that has fallen into other hands, with every token that it signed
    Revoke {
        /// Its name
        #[arg(value_name = "KID")]
        kid: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// One JSON object a line, or a list: `email`, `password_hash`, `email_verified`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write what has become of each row, as one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The settings file [default: slipway.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The settings file [default: slipway.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// End when all is shown, instead of staying up until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// List identities, newest first
    List(UsersListArgs),
    /// Show one
    Show(UserArgs),
    /// Keep one from signing in; its tokens and API keys end for good
    Disable(UserArgs),
    /// Let one sign in again
    Enable(UserArgs),
    /// Delete one, with its user, memberships, invites and API keys
    Delete(UserDeleteArgs),
    /// Let one act as `admin` or `euser`
    Grant(UserActorArgs),
    /// Take `admin` or `euser` from one
    Withdraw(UserActorArgs),
    /// End what one is signed in by; the password is good for nothing until it has been reset
    ForceReset(UserArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UsersListArgs {
    /// Only those whose address begins with this
    #[arg(long, value_name = "PREFIX")]
    pub(crate) email: Option<String>,
    /// Only those of this realm: `platform`, or a realm's id
    #[arg(long, value_name = "REALM")]
    pub(crate) realm: Option<String>,
    /// The most to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UserArgs {
    /// The identity, by id or address
    #[arg(value_name = "ID|EMAIL")]
    pub(crate) user: String,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UserDeleteArgs {
    /// Also where that leaves accounts without an owner
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) user: UserArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UserActorArgs {
    #[command(flatten)]
    pub(crate) user: UserArgs,
    /// `admin` or `euser`
    #[arg(value_name = "ACTOR")]
    pub(crate) actor: common::token::ActorType,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only this act, such as `member.removed`
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only what this user, identity or service did
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// Only what was done to this
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Only what was done in this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// From this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<common::time::Time>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<common::time::Time>,
    /// The most to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Write one JSON entry a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_static_server_gets_its_words_untouched() {
        let cli = Cli::try_parse_from([
            "slipway",
            "__static",
            "/srv/site",
            "--port",
            "21000",
            "--single-page",
        ])
        .unwrap();
        let Command::Static { words } = cli.command else {
            panic!("another command")
        };
        assert_eq!(words, ["/srv/site", "--port", "21000", "--single-page"]);
    }

    #[test]
    fn an_address_without_a_scheme_is_refused() {
        let arguments = ["slipway", "apps", "--url", "localhost"];
        assert!(Cli::try_parse_from(arguments).is_err());
    }
}
