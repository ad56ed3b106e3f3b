#include "run/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/files.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

std::string violations(const Json& report) {
  const auto schema_json =
      nlohmann::json::parse(read_file(BW_SOURCE_DIR "/configs/schema/report.schema.json"));
  const auto document = nlohmann::json::parse(report.dump());
  valijson::Schema schema;
  valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_json),
                                          schema);
  valijson::ValidationResults results;
  valijson::Validator().validate(schema, valijson::adapters::NlohmannJsonAdapter(document),
                                 &results);
  std::ostringstream text;
  for (const auto& error : results) {
    for (const std::string& part : error.context) text << part;
    text << ": " << error.description << '\n';
  }
  return text.str();
}

class ReportOf : public ::testing::TestWithParam<const char*> {};

TEST_P(ReportOf, EveryKindOfCache_SatisfiesTheSchema) {
  const Manifest manifest = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  Request request;
  const std::string video = ::testing::TempDir() + "report.y4m";
  request.add_config(
      {{"prompt", "a fox"}, {"threads", 1}, {"steps", 5}, {"output", video}, {"cache", GetParam()}},
      Origin::file("c.json: "));
  const Plan plan = resolve(request, manifest);
  bw::testing::QuietObserver observer;
  const Report report = generate(*load_model(plan, manifest), plan, observer);
  EXPECT_EQ(violations(report_to_json(report)), "");
  EXPECT_EQ(observer.num_frames, plan.clip.num_frames);
  const Json metadata = metadata_to_json(report);
  EXPECT_EQ(metadata.dump().find(::testing::TempDir()), std::string::npos)
      << "a path would differ by machine";
  EXPECT_FALSE(metadata.at("cache").contains("totals")) << "timings would differ by run";
}

INSTANTIATE_TEST_SUITE_P(Caches, ReportOf,
                         ::testing::Values("none", "static:every=2", "static:every=2,site=block",
                                           "bwcache:threshold=0.5"));

}  // namespace
}  // namespace bw
