//! A metric told apart by one label whose values are all known from the start.
//!
//! Nothing that comes from outside can make a series. Looking one up takes no lock, and every series is there from the
//! first scrape on, at nought.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;

/// One metric for each value. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Series<M> {
    label: &'static str,
    known: Arc<[(&'static str, M)]>,
    /// Of every value that is not known; shown only where such values are to be expected.
    other: M,
}

impl<M: Clone> Series<M> {
    /// For these values alone, which are all that there can be.
    pub(super) fn new(
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
        make: impl Fn() -> M,
    ) -> Self {
        let known = values.into_iter().map(|value| (value, make())).collect();
        Self { label, known, other: make() }
    }

    /// For these values; any other counts as `other`.
    pub(super) fn open(
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
        other: &'static str,
        make: impl Fn() -> M,
    ) -> Self {
        let rest = make();
        let values = values.into_iter().map(|value| (value, make())).chain([(other, rest.clone())]);
        Self { label, known: values.collect(), other: rest }
    }

    pub(super) fn of(&self, value: &str) -> &M {
        self.known.iter().find(|(there, _)| *there == value).map_or(&self.other, |(_, metric)| metric)
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Series<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (value, metric) in &*self.known {
            metric.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
