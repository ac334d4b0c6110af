import { catalogue } from "../catalogue.js";

// Keeps carts for as long as the process lives: for trying the shop without a database.
export class MemoryStore {
  name = "memory";
  #products = new Map(catalogue.map((product) => [product.id, product]));
  #carts = new Map();

  async check() {}

  async products() {
    return [...this.#products.values()];
  }

  async product(id) {
    return this.#products.get(id) ?? null;
  }

  async createCart(id) {
    this.#carts.set(id, new Map());
  }

  // The cart's items with their products, or null where there is no such cart.
  async cart(id) {
    const cart = this.#carts.get(id);
    if (!cart) return null;
    return [...cart]
      .map(([productId, quantity]) => ({ product: this.#products.get(productId), quantity }))
      .sort((a, b) => a.product.id.localeCompare(b.product.id));
  }

  async addItem(cartId, productId, quantity) {
    const cart = this.#carts.get(cartId);
    cart.set(productId, (cart.get(productId) ?? 0) + quantity);
  }

  async removeItem(cartId, productId) {
    return this.#carts.get(cartId).delete(productId);
  }

  async close() {}
}
