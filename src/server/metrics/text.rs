//! Prometheus' text format, version 0.0.4: families of samples, one after the
//! other.

use std::fmt::{Display, Write};

use crate::workstation::Histogram;

/// The `Content-Type` of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page being written.
#[derive(Default)]
pub struct Page {
    text: String,
}

/// Names and values that tell the samples of a family apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    pub fn gauge(&mut self, name: &str, help: &str, samples: &[(Labels, f64)]) {
        self.family(name, "gauge", help);
        for (labels, value) in samples {
            self.sample(name, "", labels, value);
        }
    }

    /// `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, samples: &[(Labels, f64)]) {
        self.family(name, "counter", help);
        for (labels, value) in samples {
            self.sample(name, "", labels, value);
        }
    }

    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        for (bound, count) in histogram.cumulative() {
            self.sample(name, "_bucket", &[("le", &bound.to_string())], &count);
        }
        let count = histogram.count();
        self.sample(name, "_bucket", &[("le", "+Inf")], &count);
        self.sample(name, "_sum", &[], &histogram.sum());
        self.sample(name, "_count", &[], &count);
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: Labels, value: &dyn Display) {
        self.text += name;
        self.text += suffix;
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workstation::Measures;

    #[test]
    fn samples_have_their_labels_and_their_kind() {
        let mut page = Page::default();
        page.gauge("a_bytes", "Bytes\nof a.", &[(&[("kind", "x\"\\\n")], 1.5)]);
        page.counter(
            "b_total",
            "B.",
            &[(&[], 3.0), (&[("c", "d"), ("e", "f")], 4.0)],
        );
        assert_eq!(
            page.finish(),
            "# HELP a_bytes Bytes\\nof a.\n# TYPE a_bytes gauge\n\
             a_bytes{kind=\"x\\\"\\\\\\n\"} 1.5\n\
             # HELP b_total B.\n# TYPE b_total counter\nb_total 3\nb_total{c=\"d\",e=\"f\"} 4\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_all_sum_and_count() {
        let mut page = Page::default();
        page.histogram("x_seconds", "X.", &Measures::default().inter_token);
        let text = page.finish();
        assert!(
            text.contains("x_seconds_bucket{le=\"0.001\"} 0\n"),
            "{text}"
        );
        let end = "x_seconds_bucket{le=\"+Inf\"} 0\nx_seconds_sum 0\nx_seconds_count 0\n";
        assert!(text.ends_with(end), "{text}");
    }
}
