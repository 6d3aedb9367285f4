//! Charts as SVG inside of the page: nothing is loaded for them, and they take the colours of the page.

use maud::{Markup, html};

/// The width and height of the drawing; the page scales it.
const SIZE: (f64, f64) = (300.0, 60.0);

/// How something went, over time, as an area. `label` says it in words, for those who do not see it.
pub(crate) fn area(values: &[f64], label: &str) -> Markup {
    let (width, height) = SIZE;
    let top = values.iter().copied().fold(0.0, f64::max);
    let line = points(values, if top > 0.0 { top } else { 1.0 });
    html! {
        svg.chart viewBox=(format!("0 0 {width} {height}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            @if values.len() > 1 {
                polygon.fill points=(format!("0,{height} {line} {width},{height}")) {}
                polyline.line points=(line) {}
            }
        }
    }
}

/// A part of a whole, as a bar.
pub(crate) fn bar(share: f64, label: &str) -> Markup {
    let width = share.clamp(0.0, 1.0) * 100.0;
    html! {
        svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.rest x="0" y="0" width="100" height="6" rx="3" {}
            rect.part x="0" y="0" width=(format!("{width:.1}")) height="6" rx="3" {}
        }
    }
}

fn points(values: &[f64], top: f64) -> String {
    let (width, height) = SIZE;
    #[expect(clippy::cast_precision_loss, reason = "a place on a drawing")]
    let step = width / (values.len().max(2) - 1) as f64;
    let mut x = -step;
    let point = |value: &f64| {
        x += step;
        format!("{x:.1},{:.1}", height - 2.0 - value / top * (height - 6.0))
    };
    values.iter().map(point).collect::<Vec<_>>().join(" ")
}
