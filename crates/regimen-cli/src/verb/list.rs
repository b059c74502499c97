//! `regimen list ROOM`.

use std::io::Write;

use regimen_base::Error;
use regimen_recipe::Room;

use crate::failure::Outcome;
use crate::recipes::{self, nearest};
use crate::table::Table;
use crate::{number, out};

#[derive(clap::Args)]
pub struct Args {
    /// A room, such as `task` or `objective`; `recipes` or `papers`; all rooms when it is left out
    room: Option<String>,
}

impl Args {
    pub fn go(self) -> Outcome {
        let text = match self.room.as_deref() {
            None => rooms(),
            Some("paper" | "papers") => {
                regimen_papers::PAPERS.iter().map(|paper| paper.folder).collect::<Vec<_>>().join("\n") + "\n"
            }
            Some("recipe" | "recipes") => recipes::names().collect::<Vec<_>>().join("\n") + "\n",
            Some(name) => kinds(name)?,
        };
        let mut out = out::open();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

fn rooms() -> String {
    let catalogue = regimen_papers::registry().catalogue();
    let mut table = Table::new(&["room", "", "what it is"]);
    for &room in Room::ALL {
        let kinds = number::plural(catalogue.kinds(room).count(), "kind");
        table.row([room.name().to_owned(), kinds, room.doc().to_owned()]);
    }
    format!(
        "{}\n`regimen list ROOM` lists its kinds, `regimen explain ROOM.KIND` explains one.\n",
        table.render()
    )
}

fn kinds(name: &str) -> Outcome<String> {
    // people write the plural
    let room = Room::from_name(name).or_else(|| Room::from_name(name.strip_suffix('s')?));
    let Some(room) = room else {
        let names: Vec<&str> = Room::ALL.iter().map(|r| r.name()).chain(["recipes", "papers"]).collect();
        let near = nearest(name, &names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let error = Error::usage(format!("there is no room `{name}`"));
        return Err(error.remedy(format!("{near}rooms: {}", names.join(", "))).into());
    };
    Ok(regimen_recipe::list(&regimen_papers::registry().catalogue(), room))
}
