import { consulAt } from "../support/cache-clients.ts";
import { deadlines, faultContract } from "../support/cache-faults.ts";
import { startConsul } from "../support/consul-server.ts";

faultContract("a Consul", async () => ({
  server: await startConsul({ persistent: true }),
  open: (address, space) => consulAt(`consul://${address}/${space}`, { deadlines }),
}));
