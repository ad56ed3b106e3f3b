#include "page/tables.h"

#include "page/html.h"

namespace bw {
namespace {

bool looks_like_number(const std::string& text) {
  return !text.empty() &&
         (std::string_view("0123456789<>").find(text.front()) != std::string::npos ||
          (text.front() == '-' && text.size() > 1 && text[1] >= '0' && text[1] <= '9'));
}

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void add_values(Table& table, const Json& values, const Json& sources, const std::string& prefix) {
  for (const auto& [key, value] : values.items()) {
    std::string path = prefix;
    if (!path.empty()) path += ".";
    path += key;
    if (value.is_object() && !value.empty()) {
      add_values(table, value, sources, path);
      continue;
    }
    std::vector<std::string> row = {path, value_text(value)};
    if (!sources.empty()) {
      const auto source = sources.find(path);
      row.push_back(source == sources.end() ? "" : value_text(*source));
    }
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

std::string table_markup(const Table& table) {
  Markup out;
  out.open("div",
           {{"class", "scroll"}, {"role", "region"}, {"tabindex", "0"}, {"aria-label", "table"}});
  out.open("table").open("thead").open("tr");
  for (const std::string& cell : table.heading) out.element("th", cell, {{"scope", "col"}});
  out.close().close().open("tbody");
  for (const std::vector<std::string>& row : table.rows) {
    out.open("tr");
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0 && looks_like_number(row[i])) {
        out.element("td", row[i], {{"class", "number"}});
      } else {
        out.element("td", row[i]);
      }
    }
    out.close();
  }
  return out.close().close().close().take();
}

std::string folded_table(const std::string& summary, const Table& table) {
  Markup out;
  out.open("details").element("summary", summary).append(table_markup(table));
  return out.close().take();
}

Table value_table(const Json& values, const Json& sources) {
  Table table{{"name", "value"}, {}};
  if (!sources.empty()) table.heading.emplace_back("from");
  add_values(table, values, sources, "");
  return table;
}

}  // namespace bw
