//! The promises of order and scheduling, on any graph.
use std::sync::Arc;

use lightning_native_core::dag::{Builder, Dag, OnFailure, Scheduler, State};
use proptest::prelude::*;

/// Graphs whose edges lead from lower to higher numbers only, so that they have no cycle; nodes are added in any order.
fn dags() -> impl Strategy<Value = Dag> {
    (1_usize..40)
        .prop_flat_map(|size| {
            let nodes: Vec<usize> = (0..size).collect();
            (Just(nodes).prop_shuffle(), prop::collection::vec((0..size, 0..size), 0..size * 3))
        })
        .prop_map(|(nodes, edges)| {
            let mut builder = Builder::with_capacity(nodes.len());
            for node in &nodes {
                builder.node(&node.to_string()).expect("distinct");
            }
            for &node in &nodes {
                let mut upstream: Vec<usize> =
                    edges.iter().filter(|&&(low, high)| low < high && high == node).map(|&(low, _)| low).collect();
                upstream.sort_unstable();
                upstream.dedup();
                for up in upstream {
                    builder.upstream(&up.to_string()).expect("known");
                }
                builder.end_node();
            }
            builder.build().expect("acyclic")
        })
}

proptest! {
    #[test]
    fn every_node_comes_once_and_after_its_upstream_nodes(dag in dags()) {
        let mut place = vec![None; dag.len()];
        for (position, &node) in dag.order().iter().enumerate() {
            prop_assert!(dag.upstream(node).iter().all(|&up| place[up as usize].is_some()));
            prop_assert_eq!(place[node as usize].replace(position), None);
        }
        prop_assert_eq!(dag.order().len(), dag.len());
    }

    #[test]
    fn a_run_ends_whatever_fails(dag in dags(), failing in prop::collection::vec(any::<bool>(), 40), slots in 1_usize..4) {
        let dag = Arc::new(dag);
        for mode in [OnFailure::Continue, OnFailure::Stop, OnFailure::FailFast] {
            let mut scheduler = Scheduler::new(Arc::clone(&dag), Some(slots), None, mode).expect("valid");
            while !scheduler.is_done() {
                let ready: Vec<_> = scheduler.ready().collect();
                for node in ready {
                    prop_assert!(dag.upstream(node).iter().all(|&up| scheduler.state(up) == State::Succeeded));
                    scheduler.start(node).expect("ready");
                }
                let running: Vec<_> = scheduler.running().collect();
                prop_assert!((1..=slots).contains(&running.len()));
                for node in running {
                    let ended = if failing[node as usize] { scheduler.fail(node) } else { scheduler.succeed(node) };
                    ended.expect("runs");
                }
            }
        }
    }
}
