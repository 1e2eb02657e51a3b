import { expect, test } from "bun:test";
import { exemptLoopback } from "../../src/util/proxies.ts";

test.each<[Record<string, string | undefined>, Record<string, string>]>([
  [{}, { NO_PROXY: "localhost,127.0.0.1,::1,[::1]" }],
  [{ NO_PROXY: "" }, { NO_PROXY: "localhost,127.0.0.1,::1,[::1]" }],
  [{ NO_PROXY: "corp.example" }, { NO_PROXY: "corp.example,localhost,127.0.0.1,::1,[::1]" }],
  [
    { no_proxy: "corp.example" },
    {
      NO_PROXY: "corp.example,localhost,127.0.0.1,::1,[::1]",
      no_proxy: "corp.example,localhost,127.0.0.1,::1,[::1]",
    },
  ],
])("%j", (env, expected) => {
  exemptLoopback(env);
  expect(env).toEqual(expected);
});

test("what is asked of this machine does not go through the proxy", async () => {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("direct") });
  const program = `
    import { exemptLoopback } from "./src/util/proxies.ts";
    exemptLoopback(process.env);
    console.log(await (await fetch("http://127.0.0.1:${server.port}/")).text());
    console.log(await (await fetch("http://localhost:${server.port}/")).text());`;
  const child = Bun.spawn([process.execPath, "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], HTTP_PROXY: "http://127.0.0.1:9" },
  });
  expect(await new Response(child.stdout).text()).toBe("direct\ndirect\n");
});
