//! Everybody in a line in their order, and how many stand before each: a tree that knows how many hang below every node (a treap),
//! so that counting takes as many steps as finding.

use super::Place;

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Node {
    place: Place,
    /// A parent's is higher than its children's: numbers without order keep the tree flat.
    weight: u32,
    /// How many hang here, itself included.
    size: u32,
    left: u32,
    right: u32,
}

/// Places in their order, counted.
#[derive(Debug, Clone)]
pub(super) struct Order {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    /// How many weights were given out.
    weights: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NONE, weights: 0 }
    }
}

/// Takes the bits of a number apart (the finaliser of MurmurHash3): the same in every run, and nobody outside chooses it.
fn mixed(number: u32) -> u32 {
    let number = (number ^ (number >> 16)).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ (number >> 13)).wrapping_mul(0xc2b2_ae35);
    number ^ (number >> 16)
}

impl Order {
    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn size(&self, at: u32) -> u32 {
        self.node(at).map_or(0, |node| node.size)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.size(self.root) as usize
    }

    /// Counts again what hangs at a node.
    fn count(&mut self, at: u32) {
        let Some(node) = self.node(at) else { return };
        let size = 1 + self.size(node.left) + self.size(node.right);
        self.nodes[at as usize].size = size;
    }

    /// Puts a place in, that must not be there.
    pub(super) fn insert(&mut self, place: Place) {
        self.weights = self.weights.wrapping_add(1);
        let node = Node { place, weight: mixed(self.weights), size: 1, left: NONE, right: NONE };
        let new = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
            }
        };
        self.root = self.inserted(self.root, new);
    }

    fn inserted(&mut self, at: u32, new: u32) -> u32 {
        let Some(node) = self.node(at) else { return new };
        let (place, weight) = (self.nodes[new as usize].place, self.nodes[new as usize].weight);
        if weight > node.weight {
            let (left, right) = self.split(at, &place);
            (self.nodes[new as usize].left, self.nodes[new as usize].right) = (left, right);
            self.count(new);
            return new;
        }
        let (left, right, before) = (node.left, node.right, place < node.place);
        if before {
            self.nodes[at as usize].left = self.inserted(left, new);
        } else {
            self.nodes[at as usize].right = self.inserted(right, new);
        }
        self.nodes[at as usize].size += 1;
        at
    }

    /// What stands before a place, and the rest.
    fn split(&mut self, at: u32, place: &Place) -> (u32, u32) {
        let Some(node) = self.node(at) else { return (NONE, NONE) };
        let (left, right) = (node.left, node.right);
        if node.place < *place {
            let (before, behind) = self.split(right, place);
            self.nodes[at as usize].right = before;
            self.count(at);
            (at, behind)
        } else {
            let (before, behind) = self.split(left, place);
            self.nodes[at as usize].left = behind;
            self.count(at);
            (before, at)
        }
    }

    /// Takes a place out that is there.
    pub(super) fn remove(&mut self, place: &Place) {
        self.root = self.removed(self.root, place);
    }

    fn removed(&mut self, at: u32, place: &Place) -> u32 {
        let Some(node) = self.node(at) else { return NONE };
        let (left, right) = (node.left, node.right);
        match place.cmp(&node.place) {
            std::cmp::Ordering::Equal => {
                self.free.push(at);
                return self.merged(left, right);
            }
            std::cmp::Ordering::Less => self.nodes[at as usize].left = self.removed(left, place),
            std::cmp::Ordering::Greater => self.nodes[at as usize].right = self.removed(right, place),
        }
        self.count(at);
        at
    }

    fn merged(&mut self, one: u32, other: u32) -> u32 {
        let (Some(left), Some(right)) = (self.node(one), self.node(other)) else {
            return if self.node(one).is_some() { one } else { other };
        };
        if left.weight > right.weight {
            let inner = left.right;
            self.nodes[one as usize].right = self.merged(inner, other);
            self.count(one);
            one
        } else {
            let inner = right.left;
            self.nodes[other as usize].left = self.merged(one, inner);
            self.count(other);
            other
        }
    }

    /// How many stand before a place, and in how many steps that was found.
    pub(super) fn before(&self, place: &Place) -> (usize, usize) {
        let (mut at, mut before, mut steps) = (self.root, 0, 0);
        while let Some(node) = self.node(at) {
            steps += 1;
            if node.place < *place {
                before += self.size(node.left) + 1;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        (before as usize, steps)
    }

    /// The first at or behind a place; strictly behind it with `past`.
    pub(super) fn next(&self, place: &Place, past: bool) -> Option<Place> {
        let (mut at, mut found) = (self.root, None);
        while let Some(node) = self.node(at) {
            if node.place > *place || (!past && node.place == *place) {
                found = Some(node.place);
                at = node.left;
            } else {
                at = node.right;
            }
        }
        found
    }

    /// Those behind a place, or all, in their order.
    pub(super) fn behind(&self, place: Option<Place>) -> Walk<'_> {
        let mut walk = Walk { order: self, path: Vec::new() };
        let mut at = self.root;
        while let Some(node) = self.node(at) {
            if place.is_some_and(|place| node.place <= place) {
                at = node.right;
            } else {
                walk.path.push(at);
                at = node.left;
            }
        }
        walk
    }
}

/// Places one after the other.
pub(super) struct Walk<'a> {
    order: &'a Order,
    /// Nodes that come next, the nearest last.
    path: Vec<u32>,
}

impl Iterator for Walk<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let node = self.order.node(self.path.pop()?)?;
        let mut at = node.right;
        while let Some(next) = self.order.node(at) {
            self.path.push(at);
            at = next.left;
        }
        Some(node.place)
    }
}
