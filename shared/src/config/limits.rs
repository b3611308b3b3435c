//! The bounds of a configuration. What is beyond one is a problem with its place, never cut off.

/// The longest text, in bytes.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// The most groups of approvers.
pub const MAX_GROUPS: usize = 200;
/// The most people in a group.
pub const MAX_MEMBERS: usize = 100;
/// The most environments.
pub const MAX_ENVIRONMENTS: usize = 2_000;
/// The most places where one environment lands.
pub const MAX_DEPLOYS: usize = 20;
/// The most named approval policies of one environment.
pub const MAX_POLICIES: usize = 20;
/// The most waivers of one environment.
pub const MAX_WAIVERS: usize = 200;
/// The longest reason of a waiver, in characters.
pub const MAX_REASON_CHARACTERS: usize = 500;
/// The most freeze windows of one environment.
pub const MAX_WINDOWS: usize = 50;
/// The most systems.
pub const MAX_SYSTEMS: usize = 200;
/// The most environments in one system.
pub const MAX_SYSTEM_ENVIRONMENTS: usize = 100;
/// The most routes.
pub const MAX_ROUTES: usize = 10_000;
/// The most routes of one repository: what becomes of a delivery is one item, with a line per route.
pub const MAX_ROUTES_PER_REPOSITORY: usize = 100;
/// The most variables of one route. Source: CodePipeline's StartPipelineExecution.
pub const MAX_VARIABLES: usize = 50;
/// The longest value of a variable once it is filled in, in characters. Source: as above.
pub const MAX_VARIABLE_CHARACTERS: usize = 1_000;
/// The longest JSON of one repository's routes, or of one environment, in bytes: each is one item of at most 400 KB.
pub const MAX_ITEM_BYTES: usize = 100_000;

/// The shortest time for an approval. Source: CodePipeline's `timeoutInMinutes`, 5 to 86,400.
pub const MIN_EXPIRES_SECONDS: u32 = 5 * 60;
/// The longest time for an approval. Source: as above.
pub const MAX_EXPIRES_SECONDS: u32 = 86_400 * 60;
/// The shortest time before somebody is reminded: `sweep` looks once a minute.
pub const MIN_REMIND_AFTER_SECONDS: u32 = 60;
/// The shortest wait for a scan.
pub const MIN_WAIT_FOR_SCAN_SECONDS: u32 = 60;
/// The longest wait for a scan before somebody is told.
pub const MAX_WAIT_FOR_SCAN_SECONDS: u32 = 86_400;
/// The shortest time in which an alarm counts against a deployment.
pub const MIN_WINDOW_SECONDS: u32 = 60;
/// The longest window, soak and cooldown: a week.
pub const MAX_ROLLBACK_SECONDS: u32 = 7 * 86_400;
/// The longest time to settle. Source: the longest delay of a message in SQS.
pub const MAX_SETTLE_SECONDS: u32 = 15 * 60;
