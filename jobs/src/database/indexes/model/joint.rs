//! Values of several columns together.

use std::collections::BTreeMap;

use super::column::Class;
use super::sample::Sample;

/// Classes whose values are as common as this are taken together: three steps to a factor of two.
const STEPS: f64 = 3.0;

/// Classes of all columns together, if none says anything about another.
pub(super) fn product(columns: &[Vec<Class>]) -> Vec<Class> {
    let mut joint = vec![Class { values: 1.0, share: 1.0, nulls: 0, is_common: true }];
    for (place, column) in columns.iter().enumerate() {
        let column = merged(column.iter().map(|class| Class { nulls: class.nulls << place, ..*class }));
        let pairs = joint.iter().flat_map(|one| {
            column.iter().map(|other| Class {
                values: one.values * other.values,
                share: one.share * other.share,
                nulls: one.nulls | other.nulls,
                is_common: one.is_common && other.is_common,
            })
        });
        joint = merged(pairs);
    }
    joint
}

/// Fewer classes: those that are nearly as common become one.
fn merged(classes: impl Iterator<Item = Class>) -> Vec<Class> {
    let mut found: BTreeMap<(u32, bool, i32), (f64, f64)> = BTreeMap::new();
    for class in classes.filter(|class| class.values > 0.0 && class.share > 0.0) {
        #[expect(clippy::cast_possible_truncation, reason = "a few hundred at most")]
        let step = (class.share.log2() * STEPS).round() as i32;
        let entry = found.entry((class.nulls, class.is_common, step)).or_default();
        entry.0 += class.values;
        entry.1 += class.values * class.share;
    }
    let whole = |((nulls, is_common, _), (values, rows)): ((u32, bool, i32), (f64, f64))| Class {
        values,
        share: rows / values,
        nulls,
        is_common,
    };
    found.into_iter().map(whole).collect()
}

/// How many different values so many rows have.
pub(super) fn distinct(classes: &[Class], rows: f64) -> f64 {
    classes.iter().map(|class| class.values * -(-class.share * rows).exp_m1()).sum()
}

/// Classes of which ANALYZE would say that there are so many values: columns that say something about one another have
/// fewer values together than they could have.
pub(super) fn thinned(classes: &[Class], distinct: f64, sample: Sample) -> Vec<Class> {
    let by = |part: f64| -> Vec<Class> {
        let thin = |class: &Class| {
            // Fewer values, each with more rows; one that is there by itself stays.
            let values = (class.values * part).max(class.values.min(1.0));
            Class { values, share: class.share * class.values / values, ..*class }
        };
        classes.iter().map(thin).collect()
    };
    let (mut low, mut high) = (-35.0, 0.0);
    if says(classes, sample) <= distinct {
        return classes.to_vec();
    }
    for _ in 0..28 {
        let middle = f64::midpoint(low, high);
        if says(&by(f64::exp(middle)), sample) < distinct { low = middle } else { high = middle }
    }
    by(f64::exp(low))
}

/// How many values ANALYZE would say there are.
fn says(classes: &[Class], sample: Sample) -> f64 {
    let (mut seen, mut once) = (0.0, 0.0);
    for class in classes {
        let mean = class.share * sample.seen;
        seen += class.values * -(-mean).exp_m1();
        once += class.values * mean * (-mean).exp();
    }
    sample.guess(seen, once)
}
