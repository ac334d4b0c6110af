import { buildApp } from "./app.js";
import { openStore } from "./store/index.js";

const app = buildApp({ store: openStore(process.env.DATABASE_URL), logger: true });

// Finishes the requests in hand, then ends; a second signal ends at once.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => app.close());
}

await app.listen({ host: process.env.HOST ?? "0.0.0.0", port: Number(process.env.PORT ?? 3000) });
