//! `rosn schema`.

use crate::Exit;
use crate::cli::{SchemaArgs, SchemaFormat};
use crate::output;

pub(crate) fn run(args: &SchemaArgs) -> Exit {
    match args.format {
        SchemaFormat::Json => output::print_json(&rosn_config::schema()),
        SchemaFormat::Markdown => output::print(&rosn_config::reference()),
    }
    Exit::Ok
}
