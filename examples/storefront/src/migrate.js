// Brings the database up to date: run once per release, before it gets traffic.
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import { catalogue } from "./catalogue.js";

const folder = new URL("../migrations/", import.meta.url);

async function migrate(client) {
  // Two releases at once take turns.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('storefront migrations'))");
  await client.query("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)");
  const { rows } = await client.query("SELECT name FROM schema_migrations");
  const done = new Set(rows.map((row) => row.name));
  for (const name of (await readdir(folder)).sort()) {
    if (done.has(name)) continue;
    await client.query(await readFile(new URL(name, folder), "utf8"));
    await client.query("INSERT INTO schema_migrations (name) VALUES ($1)", [name]);
    console.log(`applied ${name}`);
  }
}

async function stockShelves(client) {
  for (const { id, name, description, price } of catalogue) {
    await client.query(
      `INSERT INTO products (id, name, description, price) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE
       SET name = excluded.name, description = excluded.description, price = excluded.price`,
      [id, name, description, price],
    );
  }
  console.log(`${catalogue.length} products on the shelves`);
}

async function run(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("BEGIN");
    await migrate(client);
    await stockShelves(client);
    await client.query("COMMIT");
  } finally {
    // Without the COMMIT, ending the connection undoes everything.
    await client.end();
  }
}

if (process.env.DATABASE_URL) {
  await run(process.env.DATABASE_URL);
} else {
  console.log("no DATABASE_URL: carts are kept in memory, nothing to migrate");
}
