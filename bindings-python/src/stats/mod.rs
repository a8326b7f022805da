//! What objects count, as classes.

pub(crate) mod class;
mod core;

pub(crate) use self::core::{
    BreakerStats, BucketStats, ClientThrottleStats, ClusterStats, ConcurrencyStats, GateStats, LimiterStats,
    PartitionStats, QueueStats, RegistryStats, RetryBudgetStats, ShedderStats,
};
