//! The state of a run of a graph: the nodes that may start, and the end of each.
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use super::{Dag, NodeIndex};
use crate::{Error, Result};

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// An upstream node has not succeeded yet.
    Waiting,
    /// Every upstream node succeeded.
    Ready,
    /// It has started and not ended.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It will not run, because the caller skipped it, an upstream node failed or was skipped, or the run stopped.
    Skipped,
}

impl State {
    /// The name of the state in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The effect of a failure on nodes that do not depend on the failed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// They run.
    #[default]
    Continue,
    /// Running ones continue, no other one starts.
    Stop,
    /// No other one starts, and the caller ends the running ones: see [`Scheduler::to_cancel`].
    FailFast,
}

/// One run of a graph, in which the node with the longest remaining path starts first.
#[derive(Debug)]
pub struct Scheduler {
    dag: Arc<Dag>,
    states: Vec<State>,
    /// Upstream nodes that have not succeeded yet.
    waiting_for: Vec<usize>,
    /// Upstream nodes that failed or were skipped.
    blocked_by: Vec<u32>,
    /// Skipped by the caller rather than because of another node.
    skipped_itself: Vec<bool>,
    /// The place of each node in the order of the longest remaining path, and the node at each place.
    rank: Vec<u32>,
    by_rank: Vec<NodeIndex>,
    ready: BTreeSet<u32>,
    running: BTreeSet<u32>,
    max_parallel: usize,
    on_failure: OnFailure,
    failed: usize,
    unfinished: usize,
}

impl Scheduler {
    /// A run in which no node has started.
    ///
    /// `max_parallel` limits the number of nodes that run at once. `durations` are seconds; an unknown one (`None`)
    /// counts as the mean of the known ones, so that without any the longest chain of nodes starts first.
    ///
    /// # Errors
    /// [`Error::Dag`] if `max_parallel` is zero or a duration is negative or not finite.
    pub fn new(
        dag: Arc<Dag>,
        max_parallel: Option<usize>,
        durations: Option<&[Option<f64>]>,
        on_failure: OnFailure,
    ) -> Result<Self> {
        if max_parallel == Some(0) {
            return Err(Error::Dag("max_parallel is 0: nothing could run; give at least 1".to_owned()));
        }
        let by_rank = by_priority(&dag, durations)?;
        let mut rank = vec![0; dag.len()];
        for (place, &node) in (0..).zip(&by_rank) {
            rank[node as usize] = place;
        }
        let mut scheduler = Self {
            states: vec![State::Waiting; dag.len()],
            waiting_for: Vec::with_capacity(dag.len()),
            blocked_by: vec![0; dag.len()],
            skipped_itself: vec![false; dag.len()],
            rank,
            by_rank,
            ready: BTreeSet::new(),
            running: BTreeSet::new(),
            max_parallel: max_parallel.unwrap_or(usize::MAX),
            on_failure,
            failed: 0,
            unfinished: dag.len(),
            dag,
        };
        for node in (0..).take(scheduler.dag.len()) {
            let count = scheduler.dag.upstream(node).len();
            scheduler.waiting_for.push(count);
            if count == 0 {
                scheduler.set_ready(node);
            }
        }
        Ok(scheduler)
    }

    /// The graph of this run.
    #[must_use]
    pub fn dag(&self) -> &Dag {
        &self.dag
    }

    /// The nodes that may start now, the most urgent first, at most as many as there are free places.
    ///
    /// The call changes nothing: a node is in the answer until it is started.
    pub fn ready(&self) -> impl Iterator<Item = NodeIndex> {
        let free = self.max_parallel.saturating_sub(self.running.len());
        self.ready.iter().take(free).map(|&rank| self.by_rank[rank as usize])
    }

    /// The nodes that have started and not ended.
    pub fn running(&self) -> impl Iterator<Item = NodeIndex> {
        self.running.iter().map(|&rank| self.by_rank[rank as usize])
    }

    /// The running nodes that the caller should end now, because another one failed and the mode is fail-fast.
    pub fn to_cancel(&self) -> impl Iterator<Item = NodeIndex> {
        let cancel = self.failed > 0 && self.on_failure == OnFailure::FailFast;
        self.running().filter(move |_| cancel)
    }

    /// The state of a node.
    #[must_use]
    pub fn state(&self, node: NodeIndex) -> State {
        self.states[node as usize]
    }

    /// Whether every node has ended or will never run.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    /// Records that a ready node starts.
    ///
    /// # Errors
    /// [`Error::Dag`] if it is not ready, or `max_parallel` nodes run already.
    pub fn start(&mut self, node: NodeIndex) -> Result<()> {
        self.expect(node, &[State::Ready], "start")?;
        if self.running.len() >= self.max_parallel {
            let name = self.dag.name(node);
            return Err(Error::Dag(format!(
                "cannot start node {name:?}: {} nodes run already, max_parallel allows no more",
                self.running.len()
            )));
        }
        self.leave(node);
        self.states[node as usize] = State::Running;
        self.running.insert(self.rank[node as usize]);
        Ok(())
    }

    /// Records that a running node succeeded.
    ///
    /// # Errors
    /// [`Error::Dag`] if it does not run.
    pub fn succeed(&mut self, node: NodeIndex) -> Result<()> {
        self.expect(node, &[State::Running], "succeed")?;
        self.leave(node);
        self.end(node, State::Succeeded);
        let dag = Arc::clone(&self.dag);
        for &next in dag.downstream(node) {
            self.waiting_for[next as usize] -= 1;
            if self.waiting_for[next as usize] == 0 && self.state(next) == State::Waiting {
                self.set_ready(next);
            }
        }
        Ok(())
    }

    /// Records that a running node failed: its descendants will not run, and others only if the failure mode allows it.
    ///
    /// # Errors
    /// [`Error::Dag`] if it does not run.
    pub fn fail(&mut self, node: NodeIndex) -> Result<()> {
        self.expect(node, &[State::Running], "fail")?;
        self.leave(node);
        self.end(node, State::Failed);
        self.failed += 1;
        self.block_downstream(node);
        if self.on_failure != OnFailure::Continue && self.failed == 1 {
            for other in 0..self.states.len() {
                let other = self.by_rank[other];
                if matches!(self.state(other), State::Waiting | State::Ready) {
                    self.leave(other);
                    self.end(other, State::Skipped);
                    self.block_one_level(other);
                }
            }
        }
        Ok(())
    }

    /// Makes a running or failed node ready again; the nodes that it blocked wait again.
    ///
    /// While another failure stops the run, the node is skipped instead.
    ///
    /// # Errors
    /// [`Error::Dag`] if it neither runs nor failed.
    pub fn retry(&mut self, node: NodeIndex) -> Result<()> {
        self.expect(node, &[State::Running, State::Failed], "retry")?;
        let had_failed = self.state(node) == State::Failed;
        self.leave(node);
        if had_failed {
            self.failed -= 1;
        }
        if self.is_stopped() {
            // Treated as never started: it is skipped like the rest, and the nodes that wait for it stay blocked.
            self.states[node as usize] = State::Skipped;
            if !had_failed {
                self.unfinished -= 1;
                self.block_downstream(node);
            }
            return Ok(());
        }
        self.set_ready(node);
        if had_failed {
            self.unfinished += 1;
            self.unblock_downstream(node);
            if self.on_failure != OnFailure::Continue {
                // In topological order, so that upstream nodes have their state before a node.
                let dag = Arc::clone(&self.dag);
                dag.order().iter().for_each(|&other| self.revive(other));
            }
        }
        Ok(())
    }

    /// Records that a node which has not ended will not run, and neither will its descendants.
    ///
    /// # Errors
    /// [`Error::Dag`] if it has ended.
    pub fn skip(&mut self, node: NodeIndex) -> Result<()> {
        self.expect(node, &[State::Waiting, State::Ready, State::Running], "skip")?;
        self.leave(node);
        self.skipped_itself[node as usize] = true;
        self.end(node, State::Skipped);
        self.block_downstream(node);
        Ok(())
    }

    fn expect(&self, node: NodeIndex, allowed: &[State], verb: &str) -> Result<()> {
        let state = self.state(node);
        if allowed.contains(&state) {
            return Ok(());
        }
        let name = self.dag.name(node);
        let allowed: Vec<_> = allowed.iter().map(|state| state.as_str()).collect();
        Err(Error::Dag(format!("cannot {verb} node {name:?}: it is {}, not {}", state.as_str(), allowed.join(" or "))))
    }

    fn set_ready(&mut self, node: NodeIndex) {
        self.states[node as usize] = State::Ready;
        self.ready.insert(self.rank[node as usize]);
    }

    fn leave(&mut self, node: NodeIndex) {
        match self.state(node) {
            State::Ready => self.ready.remove(&self.rank[node as usize]),
            State::Running => self.running.remove(&self.rank[node as usize]),
            _ => false,
        };
    }

    fn end(&mut self, node: NodeIndex, state: State) {
        self.states[node as usize] = state;
        self.unfinished -= 1;
    }

    fn block_one_level(&mut self, node: NodeIndex) {
        let dag = Arc::clone(&self.dag);
        for &next in dag.downstream(node) {
            self.blocked_by[next as usize] += 1;
        }
    }

    fn block_downstream(&mut self, node: NodeIndex) {
        let dag = Arc::clone(&self.dag);
        let mut queue = VecDeque::from([node]);
        while let Some(node) = queue.pop_front() {
            for &next in dag.downstream(node) {
                self.blocked_by[next as usize] += 1;
                if self.state(next) == State::Waiting {
                    self.end(next, State::Skipped);
                    queue.push_back(next);
                }
            }
        }
    }

    fn unblock_downstream(&mut self, node: NodeIndex) {
        let dag = Arc::clone(&self.dag);
        let mut queue = VecDeque::from([node]);
        while let Some(node) = queue.pop_front() {
            for &next in dag.downstream(node) {
                self.blocked_by[next as usize] -= 1;
                if self.is_free(next) {
                    self.states[next as usize] = State::Waiting;
                    self.unfinished += 1;
                    queue.push_back(next);
                }
            }
        }
    }

    /// Whether nothing prevents a skipped node from running any more.
    fn is_free(&self, node: NodeIndex) -> bool {
        self.state(node) == State::Skipped
            && self.blocked_by[node as usize] == 0
            && !self.skipped_itself[node as usize]
            && !self.is_stopped()
    }

    /// Whether no more nodes may start.
    fn is_stopped(&self) -> bool {
        self.on_failure != OnFailure::Continue && self.failed > 0
    }

    fn revive(&mut self, node: NodeIndex) {
        if !self.is_free(node) {
            return;
        }
        self.unfinished += 1;
        if self.waiting_for[node as usize] == 0 {
            self.set_ready(node);
        } else {
            self.states[node as usize] = State::Waiting;
        }
        let dag = Arc::clone(&self.dag);
        for &next in dag.downstream(node) {
            self.blocked_by[next as usize] -= 1;
        }
    }
}

/// All nodes in the order of the longest remaining path; ties in topological order.
fn by_priority(dag: &Dag, durations: Option<&[Option<f64>]>) -> Result<Vec<NodeIndex>> {
    let known: Vec<f64> = durations.unwrap_or_default().iter().filter_map(|&duration| duration).collect();
    #[expect(clippy::cast_precision_loss, reason = "a mean of run times needs no more than 52 bits of count")]
    let typical = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
    let durations: Vec<f64> = match durations {
        Some(durations) => durations.iter().map(|duration| duration.unwrap_or(typical)).collect(),
        None => vec![1.0; dag.len()],
    };
    let remaining = dag.remaining(&durations)?;
    let mut by_rank = dag.order().to_vec();
    by_rank.sort_by(|&left, &right| remaining[right as usize].total_cmp(&remaining[left as usize]));
    Ok(by_rank)
}
