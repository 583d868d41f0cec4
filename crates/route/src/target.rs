//! Which cluster a request goes to.

use rosn_config::Variable;
use rosn_config::checked;

use crate::{Clusters, RouteFault};

/// Which cluster a request goes to; see [`Table::choose`](crate::Table::choose).
#[derive(Debug)]
pub enum Target<C> {
    /// `cluster_name`.
    Cluster(C),
    /// `weighted_clusters`.
    Weighted(Weighted<C>),
    /// `cluster_variable`: the variable holds the name.
    Variable(Variable),
    /// `cluster_header`: the request header (lower case) holds the name.
    Header(Box<str>),
}

/// Clusters with shares of the requests.
#[derive(Debug)]
pub struct Weighted<C> {
    /// In the order of the file, those with a weight of 0 left out.
    targets: Box<[WeightedTarget<C>]>,
    /// The sum of the weights up to and with each target. The last is above 0.
    sums: Box<[u64]>,
}

/// One of the weighted clusters.
#[derive(Debug)]
pub struct WeightedTarget<C> {
    /// The cluster.
    pub cluster: C,
    /// What its endpoints must carry, sorted by key: the route's metadata, over which the
    /// cluster's own wins key by key.
    pub metadata: Box<[(String, String)]>,
}

/// The cluster that was chosen for a request.
#[derive(Debug)]
pub struct Choice<'a, C> {
    /// The cluster.
    pub cluster: &'a C,
    /// What its endpoints must carry (`metadata_match`), sorted by key.
    pub metadata: &'a [(String, String)],
}

impl<C: Clone> Target<C> {
    pub(crate) fn compile(
        forward: &checked::Forward,
        clusters: &Clusters<C>,
    ) -> Result<Self, RouteFault> {
        Ok(match &forward.target {
            checked::Target::Cluster(name) => Self::Cluster(known(clusters, name)?),
            checked::Target::Weighted(all) => {
                Self::Weighted(Weighted::compile(all, &forward.metadata, clusters)?)
            }
            checked::Target::Variable(variable) => Self::Variable(variable.clone()),
            checked::Target::Header(name) => Self::Header(name.to_ascii_lowercase().into()),
        })
    }
}

impl<C: Clone> Weighted<C> {
    fn compile(
        all: &[checked::WeightedCluster],
        metadata: &[(String, String)],
        clusters: &Clusters<C>,
    ) -> Result<Self, RouteFault> {
        let mut targets = Vec::new();
        let mut sums = Vec::new();
        let mut sum = 0_u64;
        for share in all {
            let cluster = known(clusters, &share.cluster)?;
            if share.weight == 0 {
                continue;
            }
            sum += u64::from(share.weight);
            sums.push(sum);
            let metadata = merged(metadata, &share.metadata);
            targets.push(WeightedTarget { cluster, metadata });
        }
        if targets.is_empty() {
            return Err(RouteFault::NoWeight);
        }
        Ok(Self { targets: targets.into(), sums: sums.into() })
    }
}

impl<C> Weighted<C> {
    /// The target of a random number: of all remainders of the number and the sum of weights, each
    /// target has as many as its weight says. To be called once for a request.
    pub fn pick(&self, random: u64) -> &WeightedTarget<C> {
        let total = self.sums.last().expect("there is at least one target");
        let point = random % total;
        &self.targets[self.sums.partition_point(|sum| *sum <= point)]
    }
}

fn known<C: Clone>(clusters: &Clusters<C>, name: &str) -> Result<C, RouteFault> {
    clusters.get(name).cloned().ok_or_else(|| RouteFault::UnknownCluster(name.to_owned()))
}

/// Both lists in one, sorted by key; the second wins.
fn merged(base: &[(String, String)], over: &[(String, String)]) -> Box<[(String, String)]> {
    let is_over = |key: &str| over.iter().any(|(name, _)| name == key);
    let mut all: Vec<_> = base.iter().filter(|(key, _)| !is_over(key)).cloned().collect();
    all.extend_from_slice(over);
    all.sort_unstable();
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighted(weights: &[u32]) -> Result<Weighted<usize>, RouteFault> {
        let clusters = (0..weights.len()).map(|n| (n.to_string().into(), n)).collect();
        let share = |(n, weight): (usize, &u32)| checked::WeightedCluster {
            cluster: n.to_string().into(),
            weight: *weight,
            metadata: vec![("zone".into(), n.to_string())],
        };
        let all: Vec<_> = weights.iter().enumerate().map(share).collect();
        let metadata = [("app".to_owned(), "x".to_owned()), ("zone".to_owned(), "none".to_owned())];
        Weighted::compile(&all, &metadata, &clusters)
    }

    #[test]
    fn each_remainder_is_spent_as_the_weights_say() {
        for weights in [&[1][..], &[90, 10], &[0, 1, 0, 2, 0], &[3, 3, 3], &[1, 1000], &[0, 0, 7]] {
            let targets = weighted(weights).unwrap();
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            // Any run of as many numbers as the sum has each remainder once.
            for random in (u64::MAX - 5000..).take(total as usize) {
                counts[targets.pick(random).cluster] += 1;
            }
            assert_eq!(counts, weights);
        }
    }

    #[test]
    fn refuses_weights_that_are_all_zero_and_unknown_clusters() {
        assert_eq!(weighted(&[0, 0]).unwrap_err(), RouteFault::NoWeight);
        let forward =
            [checked::WeightedCluster { cluster: "a".into(), weight: 0, metadata: vec![] }];
        let error = Weighted::<()>::compile(&forward, &[], &Clusters::default()).unwrap_err();
        assert_eq!(error, RouteFault::UnknownCluster("a".into()));
    }

    #[test]
    fn weights_may_add_up_to_more_than_they_are_held_in() {
        let targets = weighted(&[u32::MAX, u32::MAX]).unwrap();
        assert_eq!(targets.pick(u64::from(u32::MAX) - 1).cluster, 0);
        assert_eq!(targets.pick(u64::from(u32::MAX)).cluster, 1);
    }

    #[test]
    fn metadata_of_the_cluster_wins() {
        let targets = weighted(&[1]).unwrap();
        let expected = [("app".to_owned(), "x".to_owned()), ("zone".to_owned(), "0".to_owned())];
        assert_eq!(*targets.pick(0).metadata, expected);
    }
}
