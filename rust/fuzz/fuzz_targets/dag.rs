//! A run of any graph with any transitions: no node starts before its upstream nodes succeeded, and all end.
#![no_main]
use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lightning_native_core::{
    Error,
    dag::{Builder, Dag, OnFailure, Scheduler, State},
};

#[derive(Debug, Arbitrary)]
struct Input {
    upstream: Vec<Vec<u8>>,
    max_parallel: Option<u8>,
    mode: u8,
    transitions: Vec<(u8, u8)>,
}

fn build(upstream: &[Vec<u8>]) -> Result<Dag, Error> {
    let mut builder = Builder::with_capacity(upstream.len());
    for node in 0..upstream.len() {
        builder.node(&node.to_string())?;
    }
    for nodes in upstream {
        nodes.iter().try_for_each(|node| builder.upstream(&node.to_string()))?;
        builder.end_node();
    }
    builder.build()
}

fuzz_target!(|input: Input| {
    let dag = match build(&input.upstream) {
        Ok(dag) => Arc::new(dag),
        Err(Error::Cycle(cycle)) => {
            assert_eq!(cycle.first(), cycle.last());
            for pair in cycle.windows(2) {
                let (before, after): (u8, usize) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
                assert!(input.upstream[after].contains(&before));
            }
            return;
        }
        Err(_) => return,
    };
    let mut place = vec![0; dag.len()];
    for (position, &node) in dag.order().iter().enumerate() {
        place[node as usize] = position;
    }
    for &node in dag.order() {
        assert!(dag.upstream(node).iter().all(|&up| place[up as usize] < place[node as usize]));
    }
    let mode = [OnFailure::Continue, OnFailure::Stop, OnFailure::FailFast][usize::from(input.mode % 3)];
    let Ok(mut scheduler) = Scheduler::new(Arc::clone(&dag), input.max_parallel.map(usize::from), None, mode) else {
        return;
    };
    for (node, transition) in input.transitions {
        let node = u32::from(node);
        if node as usize >= dag.len() {
            continue;
        }
        let before = scheduler.state(node);
        let is_allowed = match transition % 5 {
            0 => scheduler.start(node).is_ok(),
            1 => scheduler.succeed(node).is_ok(),
            2 => scheduler.fail(node).is_ok(),
            3 => scheduler.retry(node).is_ok(),
            _ => scheduler.skip(node).is_ok(),
        };
        if !is_allowed {
            assert_eq!(scheduler.state(node), before);
        }
        for &other in dag.order() {
            if matches!(scheduler.state(other), State::Ready | State::Running | State::Succeeded) {
                assert!(dag.upstream(other).iter().all(|&up| scheduler.state(up) == State::Succeeded));
            }
        }
    }
    let mut steps = 0;
    while !scheduler.is_done() {
        let running: Vec<_> = scheduler.running().collect();
        running.into_iter().for_each(|node| scheduler.succeed(node).expect("runs"));
        let ready: Vec<_> = scheduler.ready().collect();
        ready.into_iter().for_each(|node| scheduler.start(node).expect("is ready"));
        steps += 1;
        assert!(steps <= 2 * dag.len() + 2, "never done");
    }
});
