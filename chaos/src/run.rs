//! One run: servers and nodes come up, users chat, one fault follows the other, and all is judged.

use std::sync::Arc;
use std::time::Duration;

use anser_sandbox::{ClusterUp, Nodes, Up, Ways};
use anser_tests::Site;
use tokio::time::Instant;

use crate::Arguments;
use crate::dice::Dice;
use crate::fault::World;
use crate::network::Network;
use crate::report::{Done, Report};
use crate::sdk::Suite;
use crate::users::Users;

/// Load without a fault, before the first one and after each, so that what a fault does is not taken for what the one before did.
const CALM: Duration = Duration::from_secs(3);
/// How long messages may wait once a fault is over.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much load without any fault there is at first, to compare with.
const BASELINE: Duration = Duration::from_secs(10);

/// Runs it, prints the report, and says whether every promise was kept.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    // What is wrong with them is said before anything is begun.
    let kinds = arguments.kinds()?;
    let (world, users) = begin(arguments).await?;
    let world = Arc::new(world);
    let mut report = Report::new(arguments.seed);
    tokio::time::sleep(BASELINE).await;
    report.baseline(&users.recorder.met(Duration::ZERO));
    let mut dice = Dice::new(arguments.seed);
    let begun = Instant::now();
    let until = Duration::from_secs(60 * arguments.minutes);
    'all: for round in 0_u32.. {
        let mut kinds = kinds.clone();
        dice.shuffle(&mut kinds);
        let mut drawn = 0;
        for (place, &kind) in kinds.iter().enumerate() {
            let is_first = round == 0;
            if begun.elapsed() >= until && !(is_first && arguments.each) {
                report.left_out(kinds.iter().skip(place).filter(|_| is_first));
                break 'all;
            }
            let Some(fault) = world.draw(kind, &mut dice) else { continue };
            drawn += 1;
            report.found_gone(world.gone(false));
            let since = users.recorder.now();
            let began = Instant::now();
            println!("-- {:6.1} s: {fault}", begun.elapsed().as_secs_f32());
            if let Err(error) = world.inflict(&fault).await {
                // What was seen until then is judged all the same.
                println!("   {error:#}");
                report.stopped();
                break 'all;
            }
            let settled = users.settled(PATIENCE).await;
            let met = users.recorder.met(since);
            let done = Done { fault, settled, met, took: began.elapsed() };
            println!("   {done}");
            report.add(done);
            tokio::time::sleep(CALM).await;
        }
        anyhow::ensure!(drawn > 0, "none of these faults makes sense with these servers");
    }
    report.lasted(begun.elapsed());
    println!(
        "-- {:6.1} s: no more faults; all that was sent is awaited, and everything is read",
        begun.elapsed().as_secs_f32()
    );
    let (recorder, all_came) = users.end().await?;
    report.found_gone(world.gone(true));
    let is_good = report.print(&recorder.check(), all_came);
    // With it a verdict can be traced to what was shown to whom, and when; and given anew.
    let path = arguments.folder.join("trace");
    recorder.write(&path)?;
    println!("what happened to everybody is in {}", path.display());
    Ok(is_good)
}

async fn begin(arguments: &Arguments) -> anyhow::Result<(World, Users)> {
    let (folder, jars, shape) = (arguments.folder.clone(), arguments.jars.clone(), arguments.shape()?);
    let is_new = ["cluster", "stack"].iter().all(|part| !folder.join(part).exists());
    anyhow::ensure!(is_new, "{} holds an earlier run, whose messages would be judged as well", folder.display());
    let up = ClusterUp {
        folder: folder.join("cluster"),
        program: arguments.program.clone(),
        nodes: Nodes::default(),
        partitions: 256,
        settings: arguments.settings.clone(),
        environment: Vec::new(),
        ways: Ways::Passed,
        tell,
    };
    let stack = Up { folder: folder.join("stack"), jars, shape: Some(shape), base_port: None, tell };
    let (stack, mut cluster) = tokio::task::spawn_blocking(move || {
        let stack = stack.run()?;
        let cluster = up.prepare(&stack)?;
        anyhow::Ok((stack, cluster))
    })
    .await??;
    let network = Network::open(&cluster, cluster.passages(&stack)).await?;
    let cluster = tokio::task::spawn_blocking(move || cluster.bring_up().map(|()| cluster)).await??;
    let site =
        Site { url: cluster.url(), app_key: cluster.app_key().to_owned(), app_secret: cluster.app_secret().to_owned() };
    let suite = Suite::new(&arguments.sdks, &arguments.sdk_scripts, &arguments.sdk_packages)?;
    let users = Users::begin(site, arguments.users, arguments.rate, &suite).await?;
    let recorder = users.recorder.clone();
    let hbase_away = arguments.hbase_away.map(Duration::from_secs);
    Ok((World { stack, cluster, network, recorder, hbase_away }, users))
}

fn tell(text: &str) {
    println!("   {text}");
}
