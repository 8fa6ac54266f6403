// /api/docs: the description of the API to read and to try, with one's own session; nothing of it comes from elsewhere.

import "swagger-ui-dist/swagger-ui.css";
import SwaggerUi from "swagger-ui-dist/swagger-ui-es-bundle.js";

SwaggerUi({ url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, docExpansion: "list", validatorUrl: null, persistAuthorization: false });
