//! Work on several threads whose results are taken one by one, in the order of what was worked on: nothing that comes of it
//! can depend on the number of threads.

use std::collections::BTreeMap;

use crossbeam_channel::bounded;

/// Items at work for each thread: one, and some that wait for it, so that a slow one keeps nobody waiting.
const ITEMS_PER_THREAD: usize = 4;

/// Makes something of each item on one of so many threads, and gives it to `take` on this one, in the order of items. Each
/// thread has a tool of its own from `start`. What is at work or waits for its turn is bounded.
///
/// # Errors
/// What `take` says; then nothing more is taken.
pub(crate) fn in_order<I: Send, S, T: Send, E>(
    threads: usize,
    items: impl IntoIterator<Item = I>,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut items = items.into_iter();
    if threads <= 1 {
        let mut tool = start();
        return items.try_for_each(|item| take(work(&mut tool, item)));
    }
    let most = threads.saturating_mul(ITEMS_PER_THREAD);
    let (give, given) = bounded::<(u64, I)>(most);
    let (hand_in, results) = bounded::<(u64, T)>(most);
    std::thread::scope(|scope| {
        // Given up with this closure, however it ends: workers wait for as long as somebody could give or take.
        let (give, results) = (give, results);
        for _ in 0..threads {
            let (given, hand_in, start, work) = (given.clone(), hand_in.clone(), &start, &work);
            scope.spawn(move || {
                let mut tool = start();
                for (index, item) in given {
                    if hand_in.send((index, work(&mut tool, item))).is_err() {
                        // Nobody wants more: taking ended early.
                        return;
                    }
                }
            });
        }
        drop((given, hand_in));
        let mut early: BTreeMap<u64, T> = BTreeMap::new();
        let (mut sent, mut taken) = (0_u64, 0_u64);
        loop {
            while sent.saturating_sub(taken) < most as u64
                && let Some(item) = items.next()
            {
                // A worker that is gone has panicked: the scope says so.
                if give.send((sent, item)).is_err() {
                    return Ok(());
                }
                sent = sent.saturating_add(1);
            }
            if taken == sent {
                return Ok(());
            }
            let Ok((index, done)) = results.recv() else {
                return Ok(());
            };
            early.insert(index, done);
            while let Some(done) = early.remove(&taken) {
                take(done)?;
                taken = taken.saturating_add(1);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_items_whatever_the_threads() {
        for threads in [1, 2, 7] {
            let mut taken = Vec::new();
            let done: Result<(), Infallible> = in_order(
                threads,
                0..1_000_u64,
                || 0_u64,
                |seen, item| {
                    *seen += 1;
                    // Work of very different length.
                    (0..item % 97 * 50).fold(item, |sum, n| std::hint::black_box(sum ^ n ^ n))
                },
                |item| {
                    taken.push(item);
                    Ok(())
                },
            );
            let Ok(()) = done;
            assert_eq!(taken, (0..1_000).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn trouble_in_taking_ends_it_and_what_is_at_work_is_bounded() {
        for threads in [1, 3] {
            let mut given = 0_u64;
            let items = std::iter::from_fn(|| {
                given += 1;
                Some(given)
            });
            let mut taken = 0_u64;
            let done = in_order(
                threads,
                items,
                || (),
                |(), item| item,
                |item| {
                    taken += 1;
                    if item == 50 { Err(item) } else { Ok(()) }
                },
            );
            assert_eq!((done, taken), (Err(50), 50), "{threads} threads");
            let most = (threads * ITEMS_PER_THREAD) as u64;
            assert!(given <= 50 + most, "{given} items for {threads} threads");
        }
    }
}
