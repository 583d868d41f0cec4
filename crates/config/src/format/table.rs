//! The macro that turns a table into a struct and its decoder.

/// Defines objects of the format.
///
/// Each key is `name [as "written"]: type, status, "default";` below its meaning.
macro_rules! format {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident {
            $(
                $(#[doc = $key_doc:literal])+
                $field:ident $(as $written:literal)? : $type:ty, $status:expr, $default:literal;
            )*
        }
    )+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            /// The whole object.
            #[allow(dead_code, reason = "not every object is pointed at as a whole")]
            pub(crate) span: $crate::text::Span,
            $(
                $(#[doc = $key_doc])+
                #[allow(dead_code, reason = "keys that are not active yet are decoded all the same")]
                pub(crate) $field: $crate::format::Field<$type>,
            )*
        }

        impl $name {
            /// The keys.
            pub(crate) const TABLE: &'static $crate::format::Table = &$crate::format::Table {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                keys: &[$(
                    $crate::format::Key {
                        name: $crate::format::table::written!($field $($written)?),
                        doc: concat!($($key_doc, "\n"),+),
                        shape: <$type as $crate::format::Decode>::shape,
                        status: $status,
                        default: $default,
                    },
                )*],
            };
        }

        impl $crate::format::Decode for $name {
            fn shape() -> $crate::format::Shape {
                $crate::format::Shape::Object(Self::TABLE)
            }

            fn decode(
                node: &$crate::text::Node,
                context: &mut $crate::context::Context<'_>,
            ) -> Option<Self> {
                #[allow(clippy::field_reassign_with_default, reason = "an object may have no keys")]
                let mut this = Self::default();
                this.span = node.span;
                for (_key, _value) in $crate::format::decode::members(node, Self::TABLE, context)? {
                    $(
                        if _key == $crate::format::table::written!($field $($written)?) {
                            this.$field = $crate::format::Field::decode(&_value, context);
                            continue;
                        }
                    )*
                }
                Some(this)
            }
        }
    )+ };
}

/// The key as written: the name of the field, unless another is given.
macro_rules! written {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $written:literal) => {
        $written
    };
}

/// Defines texts from a list.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ $name:ident: $($choice:literal),+;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub(crate) struct $name(
            #[allow(dead_code, reason = "not every choice is read yet")]
            pub(crate) String,
        );

        impl $name {
            /// The texts that are known.
            pub(crate) const CHOICES: &'static [&'static str] = &[$($choice),+];
        }

        impl $crate::format::Decode for $name {
            fn shape() -> $crate::format::Shape {
                $crate::format::Shape::Choice(Self::CHOICES)
            }

            fn decode(
                node: &$crate::text::Node,
                context: &mut $crate::context::Context<'_>,
            ) -> Option<Self> {
                String::decode(node, context).map(Self)
            }
        }
    )+ };
}

pub(super) use {choices, format, written};
