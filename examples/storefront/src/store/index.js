import { MemoryStore } from "./memory.js";
import { PostgresStore } from "./postgres.js";

export function openStore(databaseUrl) {
  return databaseUrl ? new PostgresStore(databaseUrl) : new MemoryStore();
}
