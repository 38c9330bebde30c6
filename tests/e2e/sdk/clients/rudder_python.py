"""rudder-sdk-python says everything it can, once: ``rudder_python.py URL WRITE_KEY``."""

import sys

import rudderstack.analytics as analytics

url, write_key = sys.argv[1:]
analytics.write_key = write_key
analytics.dataPlaneUrl = url

who, device = f"user-{write_key}", f"device-{write_key}"
analytics.track(anonymous_id=device, event="Landed", properties={"from": "newsletter"})
analytics.identify(who, {"plan": "gold", "seats": 3})
analytics.track(who, "Product Viewed", {"product_id": "p-1", "price": 12.5, "sizes": [41, 42]})
analytics.page(who, name="Checkout", properties={"step": 2})
analytics.screen(who, name="Basket", properties={"items": 2})
analytics.group(who, "acme", {"employees": 40})
analytics.alias(device, who)
for step in range(1, 4):
    analytics.track(who, "Step Done", {"step": step, "words": "Grüße 🎈"})
analytics.shutdown()
