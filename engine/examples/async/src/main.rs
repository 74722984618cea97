//! The same game under tokio, under smol and on plain threads: every answer of the store is a future that needs no
//! executor of its own. `cargo run --manifest-path engine/examples/async/Cargo.toml`

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use savehold::{Collection, Holder, Result, Start, Store, Ticket, Version};

/// What is played, whoever runs it: acquires a player, earns, hands over to whoever waits.
async fn play(holder: Holder, coins: Collection<u64>) -> Result<u64> {
    let session = holder.acquire_async([coins.key("42")], Start::new()).await?; // dropping it would withdraw the request
    let mine = coins.with_token(session.token());
    let mut wanted = pin!(session.wanted());
    loop {
        // A plain closure, and it has already run: commits stand in the order of the calls, whatever is awaited first.
        let first: Ticket<Version> = mine.update_async("42", |now| Some(now.map_or(0, |e| e.value) + 1));
        let second = mine.update_async("42", |now| Some(now.map_or(0, |e| e.value) + 1));
        second.await?;
        first.await?;
        if ready(&mut wanted).await || coins.get("42")?.is_some_and(|e| e.value >= 100) {
            let now = coins.get("42")?.map_or(0, |e| e.value);
            session.release_async().await?;
            return Ok(now);
        }
    }
}

/// Whether a future is ready now.
async fn ready<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
}

fn main() -> Result<()> {
    let place = std::env::temp_dir().join(format!("savehold-async-{}", std::process::id()));
    let store = Store::open(&place)?;
    let coins = store.collection::<u64>("coins")?;

    let (red, blue) = (store.holder("red")?, store.holder("blue")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("tokio starts");
    let under_tokio = runtime.block_on(async {
        let first = tokio::spawn(play(red.clone(), coins.clone()));
        let second = tokio::spawn(play(blue.clone(), coins.clone()));
        let both = async { (first.await.expect("no panic"), second.await.expect("no panic")) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("nobody waits for ever")
    });
    report("tokio", under_tokio)?;

    let under_smol = smol::block_on(async {
        let first = smol::spawn(play(red.clone(), coins.clone()));
        let second = smol::spawn(play(blue.clone(), coins.clone()));
        (first.await, second.await)
    });
    report("smol", under_smol)?;

    let first = std::thread::spawn({
        let (red, coins) = (red.clone(), coins.clone());
        move || block_on(play(red, coins))
    });
    let second = block_on(play(blue, coins.clone()));
    report("threads", (first.join().expect("no panic"), second))?;

    let coins_now = coins.get("42")?.map_or(0, |e| e.value);
    assert_eq!(coins_now % 2, 0, "both deeds of a turn are there, or neither");
    drop((red, coins));
    store.close()?;
    std::fs::remove_dir_all(place).expect("it was ours");
    Ok(())
}

fn report(executor: &str, (red, blue): (Result<u64>, Result<u64>)) -> Result<()> {
    let (red, blue) = (red?, blue?);
    assert!(red > 0 && blue > 0 && red != blue, "both had him, one after the other");
    println!("{executor}: red left with {red} coins, blue with {blue}");
    Ok(())
}

/// An executor in ten lines: the thread sleeps until it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
