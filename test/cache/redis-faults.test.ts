import { redisAt } from "../support/cache-clients.ts";
import { deadlines, faultContract } from "../support/cache-faults.ts";
import { startRedis } from "../support/redis-server.ts";

faultContract("a Redis", async () => ({
  server: await startRedis(),
  open: (address, space) => redisAt(`redis://${address}?prefix=${space}`, { deadlines }),
}));
