//! Which queue is served first.

use crate::served::Served;

/// How much of a worker a queue may have: how often it comes first, where order is by weight.
pub(crate) type Share = u32;

/// The order in which queues are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Drawn by their weights: a queue of weight 6 comes first six times as often as one of weight 1, and none
    /// is ever left out.
    #[default]
    Weighted,
    /// As they are listed: a queue is served when those before it have nothing to do.
    Strict,
}

impl Order {
    /// The places of the queues in the order in which they are to be served this time.
    pub(crate) fn of(self, queues: &[Served]) -> Vec<usize> {
        self.among(&queues.iter().map(|served| served.share).collect::<Vec<_>>())
    }

    fn among(self, weights: &[Share]) -> Vec<usize> {
        if self == Self::Strict || weights.len() == 1 {
            return (0..weights.len()).collect();
        }
        // A. Efraimidis, P. Spirakis, "Weighted random sampling with a reservoir", 2006: order by u^(1/w).
        let draw = |weight: Share| rand::random::<f64>().powf(1.0 / f64::from(weight.max(1)));
        let mut drawn: Vec<_> = weights.iter().map(|weight| draw(*weight)).enumerate().collect();
        drawn.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        drawn.into_iter().map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavier_queue_comes_first_more_often_and_no_queue_is_left_out() {
        let orders: Vec<_> = (0..1_000).map(|_| Order::Weighted.among(&[9, 1])).collect();
        let heavy_first = orders.iter().filter(|order| order[0] == 0).count();
        assert!((800..980).contains(&heavy_first), "{heavy_first}");
        assert!(orders.iter().all(|order| order.len() == 2));
    }

    #[test]
    fn strict_order_is_the_order_of_the_list() {
        assert_eq!(Order::Strict.among(&[1, 9, 5]), [0, 1, 2]);
    }
}
