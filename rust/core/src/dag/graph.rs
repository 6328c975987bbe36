//! The graph: names in one hash table, edges in two flat arrays.
use hashbrown::{DefaultHashBuilder, HashTable};
use std::{cmp::Reverse, hash::BuildHasher, ops::Range};

use crate::{Error, Result};

/// The position of a node in the mapping that the graph was built from.
pub type NodeIndex = u32;

/// Node names in one allocation, found by hash.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<usize>,
    table: HashTable<NodeIndex>,
    hasher: DefaultHashBuilder,
}

impl Names {
    fn get(&self, index: NodeIndex) -> &str {
        let index = index as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    fn find(&self, name: &str) -> Option<NodeIndex> {
        let hash = self.hasher.hash_one(name);
        self.table.find(hash, |&index| self.get(index) == name).copied()
    }

    /// Adds `name`, and returns whether it is new.
    fn insert(&mut self, name: &str) -> bool {
        let hash = self.hasher.hash_one(name);
        if self.table.find(hash, |&index| self.get(index) == name).is_some() {
            return false;
        }
        let index = to_index(self.ends.len());
        self.text.push_str(name);
        self.ends.push(self.text.len());
        let Self { text, ends, table, hasher } = self;
        table.insert_unique(hash, index, |&other| {
            let other = other as usize;
            let start = if other == 0 { 0 } else { ends[other - 1] };
            hasher.hash_one(&text[start..ends[other]])
        });
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Builder refuses more than u32::MAX nodes and edges")]
fn to_index(position: usize) -> NodeIndex {
    position as NodeIndex
}

/// Neighbours of every node: those of node `n` are `targets[starts[n]..starts[n + 1]]`.
#[derive(Debug, Default)]
struct Edges {
    starts: Vec<u32>,
    targets: Vec<NodeIndex>,
}

impl Edges {
    fn of(&self, node: NodeIndex) -> &[NodeIndex] {
        &self.targets[self.range(node)]
    }

    fn range(&self, node: NodeIndex) -> Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    fn degree(&self, node: NodeIndex) -> u32 {
        self.starts[node as usize + 1] - self.starts[node as usize]
    }

    /// The reversed edges; each list is in ascending order.
    fn reversed(&self) -> Self {
        let nodes = self.starts.len() - 1;
        let mut starts = vec![0_u32; nodes + 1];
        for &target in &self.targets {
            starts[target as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; self.targets.len()];
        for node in 0..to_index(nodes) {
            for &target in self.of(node) {
                targets[next[target as usize] as usize] = node;
                next[target as usize] += 1;
            }
        }
        Self { starts, targets }
    }
}

/// A builder that receives all nodes, then the upstream nodes of each in the same order.
#[derive(Debug, Default)]
pub struct Builder {
    names: Names,
    upstream: Edges,
    /// The last node that named each node as upstream, to find duplicates without sorting.
    named_by: Vec<u32>,
}

impl Builder {
    /// An empty graph with room for `nodes`.
    #[must_use]
    pub fn with_capacity(nodes: usize) -> Self {
        let mut builder = Self::default();
        builder.names.ends.reserve(nodes);
        builder.names.text.reserve(nodes * 16);
        let Names { table, .. } = &mut builder.names;
        table.reserve(nodes, |_| unreachable!("an empty table has nothing to hash again"));
        builder
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`Error::Dag`] if the graph has it already or is full (2³²-2 nodes).
    #[inline]
    pub fn node(&mut self, name: &str) -> Result<()> {
        if self.names.ends.len() >= u32::MAX as usize - 1 {
            return Err(Error::Dag("a graph has at most 4294967294 nodes".to_owned()));
        }
        if self.names.insert(name) { Ok(()) } else { Err(Error::Dag(format!("node {name:?} is there twice"))) }
    }

    /// Adds an upstream node to the current node; see [`Builder::end_node`].
    ///
    /// # Errors
    /// [`Error::UnknownNode`] if `upstream` was not added as a node; [`Error::Dag`] if it is named twice;
    /// [`Error::Cycle`] if it is the node itself.
    #[inline]
    pub fn upstream(&mut self, upstream: &str) -> Result<()> {
        if self.named_by.is_empty() {
            self.named_by = vec![u32::MAX; self.names.ends.len()];
            self.upstream.starts.push(0);
        }
        let node = to_index(self.upstream.starts.len() - 1);
        let Some(index) = self.names.find(upstream) else {
            let node = self.names.get(node);
            return Err(Error::UnknownNode(format!(
                "node {node:?} has the upstream node {upstream:?}, which the graph does not have; add it as a node"
            )));
        };
        if index == node {
            return Err(Error::Cycle(vec![upstream.to_owned(), upstream.to_owned()]));
        }
        if self.named_by[index as usize] == node {
            let node = self.names.get(node);
            return Err(Error::Dag(format!("node {node:?} names its upstream node {upstream:?} twice")));
        }
        if self.upstream.targets.len() >= u32::MAX as usize {
            return Err(Error::Dag("a graph has at most 4294967295 edges".to_owned()));
        }
        self.named_by[index as usize] = node;
        self.upstream.targets.push(index);
        Ok(())
    }

    /// Ends the upstream nodes of the current node; those of the next one follow.
    #[inline]
    pub fn end_node(&mut self) {
        if self.upstream.starts.is_empty() {
            self.named_by = vec![u32::MAX; self.names.ends.len()];
            self.upstream.starts.push(0);
        }
        self.upstream.starts.push(to_index(self.upstream.targets.len()));
    }

    /// Checks the whole graph and puts it in order.
    ///
    /// # Errors
    /// [`Error::Cycle`] with the nodes of one cycle.
    pub fn build(mut self) -> Result<Dag> {
        while self.upstream.starts.len() <= self.names.ends.len() {
            self.end_node();
        }
        let downstream = self.upstream.reversed();
        let mut dag = Dag { names: self.names, upstream: self.upstream, downstream, order: Vec::new() };
        dag.order = dag.sorted();
        if dag.order.len() == dag.len() { Ok(dag) } else { Err(Error::Cycle(dag.cycle())) }
    }
}

/// A directed acyclic graph; nodes have numbers in the order of their addition.
#[derive(Debug)]
pub struct Dag {
    names: Names,
    upstream: Edges,
    downstream: Edges,
    order: Vec<NodeIndex>,
}

impl Dag {
    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.ends.len()
    }

    /// Whether the graph has no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIndex) -> &str {
        self.names.get(node)
    }

    /// The node with this name.
    ///
    /// # Errors
    /// [`Error::UnknownNode`] if the graph has none.
    pub fn find(&self, name: &str) -> Result<NodeIndex> {
        self.names.find(name).ok_or_else(|| Error::UnknownNode(format!("the graph has no node {name:?}")))
    }

    /// The nodes that a node waits for.
    #[must_use]
    #[inline]
    pub fn upstream(&self, node: NodeIndex) -> &[NodeIndex] {
        self.upstream.of(node)
    }

    /// The nodes that wait for a node.
    #[must_use]
    pub fn downstream(&self, node: NodeIndex) -> &[NodeIndex] {
        self.downstream.of(node)
    }

    /// Every node after all its upstream nodes; the same graph always gives the same order.
    #[must_use]
    pub fn order(&self) -> &[NodeIndex] {
        &self.order
    }

    /// Nodes that can run at the same time: each generation waits only for those before it.
    #[must_use]
    pub fn generations(&self) -> Vec<Vec<NodeIndex>> {
        let mut depth = vec![0_usize; self.len()];
        let mut generations: Vec<Vec<NodeIndex>> = Vec::new();
        for &node in &self.order {
            let own = self.upstream(node).iter().map(|&up| depth[up as usize] + 1).max().unwrap_or(0);
            depth[node as usize] = own;
            if own == generations.len() {
                generations.push(Vec::new());
            }
            generations[own].push(node);
        }
        generations
    }

    /// All nodes that a node waits for, directly or not, in order.
    #[must_use]
    pub fn ancestors(&self, node: NodeIndex) -> Vec<NodeIndex> {
        self.reachable(node, &self.upstream)
    }

    /// All nodes that wait for a node, directly or not, in order.
    #[must_use]
    pub fn descendants(&self, node: NodeIndex) -> Vec<NodeIndex> {
        self.reachable(node, &self.downstream)
    }

    /// The path whose durations add up to the most, from a first node to a last one.
    ///
    /// # Errors
    /// [`Error::Dag`] unless there is one finite duration of at least zero for each node.
    pub fn critical_path(&self, durations: &[f64]) -> Result<Vec<NodeIndex>> {
        let remaining = self.remaining(durations)?;
        let longest = |nodes: &mut dyn Iterator<Item = NodeIndex>| {
            nodes.min_by(|&left, &right| {
                remaining[right as usize].total_cmp(&remaining[left as usize]).then(left.cmp(&right))
            })
        };
        let mut path = Vec::new();
        let mut next = longest(&mut (0..to_index(self.len())).filter(|&node| self.upstream(node).is_empty()));
        while let Some(node) = next {
            path.push(node);
            next = longest(&mut self.downstream(node).iter().copied());
        }
        Ok(path)
    }

    /// For each node the longest time from its start to the end of the last node that waits for it.
    ///
    /// # Errors
    /// [`Error::Dag`] unless there is one finite duration of at least zero for each node.
    pub fn remaining(&self, durations: &[f64]) -> Result<Vec<f64>> {
        if durations.len() != self.len() {
            return Err(Error::Dag(format!("{} durations for {} nodes", durations.len(), self.len())));
        }
        let mut remaining = vec![0.0_f64; self.len()];
        for &node in self.order.iter().rev() {
            let duration = durations[node as usize];
            if !(duration.is_finite() && duration >= 0.0) {
                let name = self.name(node);
                return Err(Error::Dag(format!(
                    "node {name:?} has the duration {duration}; give seconds of at least 0"
                )));
            }
            let after = self.downstream(node).iter().map(|&down| remaining[down as usize]).fold(0.0, f64::max);
            remaining[node as usize] = duration + after;
        }
        Ok(remaining)
    }

    fn reachable(&self, from: NodeIndex, edges: &Edges) -> Vec<NodeIndex> {
        let mut seen = vec![false; self.len()];
        let mut stack = vec![from];
        let mut found = Vec::new();
        while let Some(node) = stack.pop() {
            for &next in edges.of(node) {
                if !std::mem::replace(&mut seen[next as usize], true) {
                    found.push(next);
                    stack.push(next);
                }
            }
        }
        let mut position = vec![0_u32; self.len()];
        for (place, &node) in self.order.iter().enumerate() {
            position[node as usize] = to_index(place);
        }
        found.sort_unstable_by_key(|&node| position[node as usize]);
        found
    }

    /// Kahn's algorithm; shorter than the graph if there is a cycle.
    fn sorted(&self) -> Vec<NodeIndex> {
        let nodes = to_index(self.len());
        let mut waiting: Vec<u32> = (0..nodes).map(|node| self.upstream.degree(node)).collect();
        let mut order: Vec<NodeIndex> = Vec::with_capacity(self.len());
        order.extend((0..nodes).filter(|&node| waiting[node as usize] == 0));
        let mut done = 0;
        while done < order.len() {
            for &next in self.downstream.of(order[done]) {
                waiting[next as usize] -= 1;
                if waiting[next as usize] == 0 {
                    order.push(next);
                }
            }
            done += 1;
        }
        order
    }

    /// The nodes of one cycle in the direction work flows, the first repeated at the end.
    fn cycle(&self) -> Vec<String> {
        let mut is_ordered = vec![false; self.len()];
        for &node in &self.order {
            is_ordered[node as usize] = true;
        }
        // A node that is never ready waits for another such node: walking upstream must come back.
        let Some(mut node) = (0..to_index(self.len())).find(|&node| !is_ordered[node as usize]) else {
            return Vec::new();
        };
        let mut place = vec![usize::MAX; self.len()];
        let mut walk = Vec::new();
        while place[node as usize] == usize::MAX {
            place[node as usize] = walk.len();
            walk.push(node);
            let waits_for = self.upstream(node).iter().copied().filter(|&up| !is_ordered[up as usize]);
            let Some(next) = waits_for.min_by_key(|&up| Reverse(up)) else {
                return Vec::new();
            };
            node = next;
        }
        let mut cycle = walk.split_off(place[node as usize]);
        cycle.push(node);
        cycle.reverse();
        cycle.into_iter().map(|node| self.name(node).to_owned()).collect()
    }
}
