import { randomUUID } from "node:crypto";
import Fastify from "fastify";
import { currency } from "./catalogue.js";

const newItem = {
  body: {
    type: "object",
    required: ["product_id"],
    additionalProperties: false,
    properties: {
      product_id: { type: "string", maxLength: 100 },
      quantity: { type: "integer", minimum: 1, maximum: 1000, default: 1 },
    },
  },
};

function cartAnswer(id, items) {
  const lines = items.map(({ product, quantity }) => ({
    product_id: product.id,
    name: product.name,
    price: product.price,
    quantity,
    total: product.price * quantity,
  }));
  const total = lines.reduce((sum, line) => sum + line.total, 0);
  return { cart: { id, items: lines, total, currency } };
}

export function buildApp({ store, logger = false }) {
  const app = Fastify({
    logger,
    // A wrong type is told to the caller, not guessed at.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  app.addHook("onClose", () => store.close());

  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `There is nothing at ${request.method} ${request.url}` }),
  );
  const missing = (reply, what) => reply.code(404).send({ message: `There is no such ${what}` });

  app.get("/", async () => ({
    name: "storefront",
    store: store.name,
    links: { products: "/products", carts: "/carts", health: "/health" },
  }));

  app.get("/health", async (request, reply) => {
    try {
      await store.check();
      return { status: "ok", store: store.name };
    } catch (error) {
      request.log.error(error);
      return reply.code(503).send({ status: "unavailable", store: store.name });
    }
  });

  app.get("/products", async () => ({ products: await store.products(), currency }));

  app.get("/products/:id", async (request, reply) => {
    const product = await store.product(request.params.id);
    return product ? { product, currency } : missing(reply, "product");
  });

  app.post("/carts", async (request, reply) => {
    const id = randomUUID();
    await store.createCart(id);
    return reply.code(201).send(cartAnswer(id, []));
  });

  app.get("/carts/:id", async (request, reply) => {
    const { id } = request.params;
    const items = await store.cart(id);
    return items ? cartAnswer(id, items) : missing(reply, "cart");
  });

  app.post("/carts/:id/items", { schema: newItem }, async (request, reply) => {
    const { id } = request.params;
    const { product_id: productId, quantity } = request.body;
    if (!(await store.cart(id))) return missing(reply, "cart");
    if (!(await store.product(productId))) return missing(reply, "product");
    await store.addItem(id, productId, quantity);
    return reply.code(201).send(cartAnswer(id, await store.cart(id)));
  });

  app.delete("/carts/:id/items/:productId", async (request, reply) => {
    const { id, productId } = request.params;
    if (!(await store.cart(id))) return missing(reply, "cart");
    if (!(await store.removeItem(id, productId))) return missing(reply, "item in this cart");
    return cartAnswer(id, await store.cart(id));
  });

  return app;
}
