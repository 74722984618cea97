//! Pure: what a verb measured: its figure, the floor, their ratio, and what explains them.

use jiff::tz::TimeZone;

use crate::output::{Cell, Column, Format, record};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    /// A rate.
    More,
    /// A time.
    Less,
}

/// A figure beside its floor.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// What was measured, and its unit.
    pub(super) what: &'static str,
    /// The store's figure.
    pub(super) value: f64,
    /// The machine's.
    pub(super) floor: f64,
    /// Which of the two would be better if it were larger.
    pub(super) better: Better,
    /// What explains them.
    pub(super) details: Vec<(Column, Cell)>,
}

impl Figure {
    /// How much of the floor is reached: 1 is all of it.
    pub(super) fn ratio(&self) -> f64 {
        match self.better {
            Better::More => self.value / self.floor,
            Better::Less => self.floor / self.value,
        }
    }

    /// The figure as text.
    pub(super) fn shown(&self, format: Format, zone: &TimeZone) -> String {
        let mut fields = vec![
            (column("measured", "measured"), Cell::Text(self.what.to_owned())),
            (column("value", "value"), Cell::Float(self.value)),
            (column("floor", "floor"), Cell::Float(self.floor)),
            (column("ratio", "ratio"), Cell::Float(self.ratio())),
        ];
        fields.extend(self.details.iter().cloned());
        record(format, &fields, zone)
    }
}

/// A detail's column.
pub(super) const fn column(title: &'static str, name: &'static str) -> Column {
    Column { title, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(better: Better) -> Figure {
        let details = vec![(column("syncs", "syncs"), Cell::Count(7))];
        Figure { what: "things/s", value: 50.0, floor: 100.0, better, details }
    }

    #[test]
    fn the_ratio_is_the_share_of_the_floor_that_is_reached() {
        assert_eq!(figure(Better::More).ratio(), 0.5);
        assert_eq!(figure(Better::Less).ratio(), 2.0);
    }

    #[test]
    fn programs_get_one_object_with_value_floor_and_ratio() {
        let shown = figure(Better::More).shown(Format::Json, &TimeZone::UTC);
        assert_eq!(
            shown,
            "{\"measured\":\"things/s\",\"value\":50,\"floor\":100,\"ratio\":0.5,\"syncs\":7}\n"
        );
    }
}
