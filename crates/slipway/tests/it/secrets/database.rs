//! Every value of every table, as text.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable, Text};
use diesel::{PgConnection, SqliteConnection, sql_query};

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Nullable<Binary>)]
    value: Option<Vec<u8>>,
}

/// The columns of a database with their contents.
pub(super) type Dump = Vec<(String, String)>;

/// Of a `SQLite` file, as a reader sees it: with what is in its log and not yet in the file.
pub(super) fn of_file(file: &Path) -> Dump {
    let mut db = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let columns = sql_query(
        "SELECT t.name AS \"table\", c.name AS name, c.type AS kind \
         FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
    )
    .load::<Column>(&mut db)
    .unwrap();
    dump(columns, |column| {
        let query = format!(
            "SELECT CAST(\"{}\" AS BLOB) AS value FROM \"{}\"",
            column.name, column.table
        );
        sql_query(query).load(&mut db).unwrap()
    })
}

/// Of a PostgreSQL database, all schemas but the server's own.
pub(super) fn of_server(url: &str) -> Dump {
    let mut db = PgConnection::establish(url).unwrap();
    let columns = sql_query(
        "SELECT format('%I.%I', table_schema, table_name) AS \"table\", \
         format('%I', column_name) AS name, data_type::text AS kind FROM information_schema.columns \
         WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
    )
    .load::<Column>(&mut db)
    .unwrap();
    dump(columns, |column| {
        let value = match column.kind.as_str() {
            "bytea" => column.name.clone(),
            _ => format!("convert_to({}::text, 'UTF8')", column.name),
        };
        sql_query(format!("SELECT {value} AS value FROM {}", column.table))
            .load(&mut db)
            .unwrap()
    })
}

fn dump(columns: Vec<Column>, mut read: impl FnMut(&Column) -> Vec<Value>) -> Dump {
    assert!(
        columns.len() > 20,
        "{} columns are not a service's",
        columns.len()
    );
    columns
        .into_iter()
        .map(|column| {
            let values = read(&column).into_iter().filter_map(|row| row.value);
            let lines: Vec<_> = values
                .map(|value| String::from_utf8_lossy(&value).into_owned())
                .collect();
            (
                format!("{}.{}", column.table, column.name),
                lines.join("\n"),
            )
        })
        .collect()
}
