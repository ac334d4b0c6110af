import pg from "pg";

export class PostgresStore {
  name = "postgres";
  #pool;

  constructor(url) {
    this.#pool = new pg.Pool({ connectionString: url, max: 5, connectionTimeoutMillis: 5_000 });
    // A connection that breaks while idle is replaced at its next use; unhandled, it would end us.
    this.#pool.on("error", () => {});
  }

  async check() {
    await this.#pool.query("SELECT 1");
  }

  async products() {
    const { rows } = await this.#pool.query(
      "SELECT id, name, description, price FROM products ORDER BY id",
    );
    return rows;
  }

  async product(id) {
    const { rows } = await this.#pool.query(
      "SELECT id, name, description, price FROM products WHERE id = $1",
      [id],
    );
    return rows[0] ?? null;
  }

  async createCart(id) {
    await this.#pool.query("INSERT INTO carts (id) VALUES ($1)", [id]);
  }

  // The cart's items with their products, or null where there is no such cart.
  async cart(id) {
    const { rows } = await this.#pool.query(
      `SELECT p.id, p.name, p.description, p.price, i.quantity
         FROM carts c
         LEFT JOIN cart_items i ON i.cart_id = c.id
         LEFT JOIN products p ON p.id = i.product_id
        WHERE c.id = $1
        ORDER BY p.id`,
      [id],
    );
    if (rows.length === 0) return null;
    return rows
      .filter((row) => row.quantity !== null)
      .map(({ quantity, ...product }) => ({ product, quantity }));
  }

  async addItem(cartId, productId, quantity) {
    await this.#pool.query(
      `INSERT INTO cart_items (cart_id, product_id, quantity) VALUES ($1, $2, $3)
       ON CONFLICT (cart_id, product_id)
       DO UPDATE SET quantity = cart_items.quantity + excluded.quantity`,
      [cartId, productId, quantity],
    );
  }

  async removeItem(cartId, productId) {
    const { rowCount } = await this.#pool.query(
      "DELETE FROM cart_items WHERE cart_id = $1 AND product_id = $2",
      [cartId, productId],
    );
    return rowCount > 0;
  }

  async close() {
    await this.#pool.end();
  }
}
