//! All that a policy has made, as one page.

use super::Metrics;
use crate::limit::Member;
use crate::policy::Policy;

impl Policy {
    /// One scrape of all that it has made, under the names of its file, and of its reloads; in a named scope of all
    /// that is in its arena, with the counts of all processes. Queues are told of by those who know of what they are.
    ///
    /// ```
    /// use tidegate::Clock;
    /// use tidegate::metrics::MetricsFormat;
    /// use tidegate::policy::{Policy, PolicyConfig};
    ///
    /// let config = PolicyConfig::parse("version = 1\nlimits.all.rate = \"10/s\"\n")?;
    /// let policy = Policy::new(config, Clock::monotonic())?;
    /// let page = policy.metrics().render(MetricsFormat::Prometheus);
    /// assert!(page.contains("tidegate_policy_reloads_total{scope=\"process\",result=\"ok\"} 0"));
    /// # Ok::<(), tidegate::policy::PolicyError>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let mut page = Metrics::new();
        page.add_policy(&self.config().hash(), self.generation(), self.failed());
        // Names of one kind differ, and none is empty: nothing here fails.
        if let Some(arena) = self.arena() {
            page.add_arena(arena);
        } else {
            for (name, member) in self.members() {
                let _ = match &member {
                    Member::Bucket(bucket) => page.add(&name, &**bucket),
                    Member::Keyed(limiter) => page.add(&name, &**limiter),
                };
            }
            let config = self.config();
            for name in config.concurrency.keys() {
                if let Ok(limiter) = self.concurrency(name) {
                    let _ = page.add(name, &*limiter);
                }
            }
            for name in config.breakers.keys() {
                if let Ok(breaker) = self.breaker(name) {
                    let _ = page.add(name, &*breaker);
                }
            }
            for (name, shedder) in self.shedders_made() {
                let _ = page.add(&name, &*shedder);
            }
        }
        for (name, gate) in self.gates_made() {
            let _ = page.add(&name, &*gate);
        }
        page
    }
}
