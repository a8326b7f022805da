//! The macro by which classes of numbers are made.

/// A class of numbers at a moment: read-only, compared by value, shown with its fields; pickles, and so copies. With
/// `from it: T` and a value for each field it is made of core's.
macro_rules! stats {
    ($(#[$meta:meta])* $name:ident from $it:ident: $core:path {
        $($(#[$doc:meta])* $field:ident: $type:ty = $value:expr),+ $(,)?
    }) => {
        $crate::stats::class::stats! { $(#[$meta])* $name { $($(#[$doc])* $field: $type),+ } }

        impl From<$core> for $name {
            fn from($it: $core) -> Self {
                Self { $($field: $value),+ }
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[pyo3::pyclass(frozen, eq, get_all, module = "tidegate")]
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name {
            $($(#[$doc])* pub(crate) $field: $type),+
        }

        #[pyo3::pymethods]
        impl $name {
            // Without a signature: pickle calls it, nobody else.
            #[new]
            #[pyo3(text_signature = None)]
            #[allow(clippy::too_many_arguments)] // Its fields, in order.
            fn new($($field: $type),+) -> Self {
                Self { $($field),+ }
            }

            #[allow(clippy::type_complexity)] // The class, and the arguments of `__new__`.
            fn __reduce__<'py>(
                slf: &pyo3::Bound<'py, Self>,
            ) -> pyo3::PyResult<(pyo3::Bound<'py, pyo3::types::PyType>, pyo3::Bound<'py, pyo3::types::PyTuple>)> {
                use pyo3::prelude::*;
                let fields = [$(slf.getattr(stringify!($field))?),+];
                Ok((slf.get_type(), pyo3::types::PyTuple::new(slf.py(), fields)?))
            }

            fn __repr__(slf: &pyo3::Bound<'_, Self>) -> pyo3::PyResult<String> {
                use pyo3::prelude::*;
                let shown = |name| PyResult::Ok(format!("{name}={}", slf.getattr(name)?.repr()?));
                let fields = [$(shown(stringify!($field))?),+];
                Ok(format!(concat!(stringify!($name), "({})"), fields.join(", ")))
            }
        }
    };
}

pub(crate) use stats;
