import assert from "node:assert/strict";
import { after, test } from "node:test";
import { buildApp } from "../src/app.js";
import { openStore } from "../src/store/index.js";

// Against memory, and with DATABASE_URL (migrated) against PostgreSQL.
const app = buildApp({ store: openStore(process.env.DATABASE_URL) });
after(() => app.close());

const call = async (method, url, payload) => {
  const response = await app.inject({ method, url, payload });
  return { status: response.statusCode, body: response.json() };
};

test("products are listed and found by id", async () => {
  const { status, body } = await call("GET", "/products");
  assert.equal(status, 200);
  assert.deepEqual(body.products.map((product) => product.id), ["mug", "notebook", "poster", "sticker"]);
  const one = await call("GET", "/products/mug");
  assert.equal(one.body.product.price, 1200);
  assert.equal((await call("GET", "/products/anchor")).status, 404);
});

test("a cart adds up what is put in", async () => {
  const { id } = (await call("POST", "/carts")).body.cart;
  await call("POST", `/carts/${id}/items`, { product_id: "mug", quantity: 2 });
  await call("POST", `/carts/${id}/items`, { product_id: "mug" });
  const { status, body } = await call("POST", `/carts/${id}/items`, { product_id: "sticker" });
  assert.equal(status, 201);
  assert.equal(body.cart.total, 3 * 1200 + 150);
  assert.deepEqual((await call("GET", `/carts/${id}`)).body, body);
  const without = await call("DELETE", `/carts/${id}/items/mug`);
  assert.equal(without.body.cart.total, 150);
});

test("what makes no sense is refused", async () => {
  const { id } = (await call("POST", "/carts")).body.cart;
  const add = (body) => call("POST", `/carts/${id}/items`, body);
  assert.equal((await add({ product_id: "anchor" })).status, 404);
  assert.equal((await add({ product_id: "mug", quantity: 0 })).status, 400);
  assert.equal((await add({ product_id: "mug", quantity: "2" })).status, 400);
  assert.equal((await add({ product_id: "mug", colour: "red" })).status, 400);
  assert.equal((await call("GET", "/carts/none")).status, 404);
  assert.equal((await call("GET", "/nowhere")).status, 404);
});
