//! MOSN configuration (placeholder docs).
pub mod checked;
pub mod template;

pub use template::{Template, TemplateError, Variable, Variables};
