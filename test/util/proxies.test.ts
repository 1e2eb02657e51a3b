import { expect, test } from "bun:test";
import { exemptOwnMachine } from "../../src/util/proxies.ts";

const own =
  "localhost,127.0.0.1,::1,[::1],169.254.169.254,169.254.170.2,169.254.170.23,metadata.google.internal";

test.each<[Record<string, string | undefined>, Record<string, string>]>([
  [{}, { NO_PROXY: own }],
  [{ NO_PROXY: "" }, { NO_PROXY: own }],
  [{ NO_PROXY: "corp.example" }, { NO_PROXY: `corp.example,${own}` }],
  [
    { no_proxy: "corp.example" },
    {
      NO_PROXY: `corp.example,${own}`,
      no_proxy: `corp.example,${own}`,
    },
  ],
])("%j", (env, expected) => {
  exemptOwnMachine(env);
  expect(env).toEqual(expected);
});

test("what is asked of this machine does not go through the proxy", async () => {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("direct") });
  const program = `
    import { exemptOwnMachine } from "./src/util/proxies.ts";
    exemptOwnMachine(process.env);
    console.log(await (await fetch("http://127.0.0.1:${server.port}/")).text());
    console.log(await (await fetch("http://localhost:${server.port}/")).text());`;
  const child = Bun.spawn([process.execPath, "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], HTTP_PROXY: "http://127.0.0.1:9" },
  });
  expect(await new Response(child.stdout).text()).toBe("direct\ndirect\n");
});
