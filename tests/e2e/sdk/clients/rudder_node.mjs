// @rudderstack/rudder-sdk-node says everything it can, once: rudder_node.mjs NODE_MODULES URL WRITE_KEY
import { createRequire } from "node:module";

const [folder, url, writeKey] = process.argv.slice(2);
const Analytics = createRequire(`${folder}/`)("@rudderstack/rudder-sdk-node");
const analytics = new Analytics(writeKey, { dataPlaneUrl: url });

const userId = `user-${writeKey}`, anonymousId = `device-${writeKey}`;
analytics.track({ anonymousId, event: "Landed", properties: { from: "newsletter" } });
analytics.identify({ userId, traits: { plan: "gold", seats: 3 } });
analytics.track({ userId, event: "Product Viewed", properties: { product_id: "p-1", price: 12.5, sizes: [41, 42] } });
analytics.page({ userId, name: "Checkout", properties: { step: 2 } });
analytics.screen({ userId, name: "Basket", properties: { items: 2 } });
analytics.group({ userId, groupId: "acme", traits: { employees: 40 } });
analytics.alias({ previousId: anonymousId, userId });
for (const step of [1, 2, 3]) {
  analytics.track({ userId, event: "Step Done", properties: { step, words: "Grüße 🎈" } });
}
await analytics.flush();
