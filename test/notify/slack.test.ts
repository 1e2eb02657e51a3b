import { notifierContract } from "./contract.ts";
import { plain, startScene, textsOf, token } from "./slack-fixture.ts";

notifierContract(
  "slack",
  async () => {
    const scene = await startScene();
    const { server, notifier } = scene;
    return {
      notifier,
      secret: token.slice(-14),
      received: async () => server.messages.map((message) => textsOf(message).join("\n")),
      fail(how) {
        if (how === "limited") server.fail({ status: 429, headers: { "Retry-After": "30" } });
        else if (how === "broken") server.fail({ status: 500, body: "<html>" });
        else if (how === "refused") server.fail({ error: "invalid_auth" });
        else server.fail("hang");
      },
      heal: () => server.heal(),
      [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
    };
  },
  { plain, remedy: /SLACK_TOKEN/ },
);
