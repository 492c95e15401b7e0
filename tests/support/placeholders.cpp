#include "tests/support/placeholders.h"

namespace hooks::harness {

std::string expand_command(std::string_view format, const Placeholders& values, PgpoolStyle style) {
    const std::string blank = style == PgpoolStyle::v4_4 ? " " : "";
    const bool has_main = values.new_main_id >= 0;
    const bool has_old_primary = values.old_primary_id >= 0;
    const std::string nobody = "\"\"";
    std::string result;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            result += format[i];
            continue;
        }
        if (++i == format.size()) {
            break;
        }
        switch (format[i]) {
            case '%':
                result += '%';
                break;
            case 'd':
                result += blank + std::to_string(values.node_id);
                break;
            case 'h':
                result += values.node_host;
                break;
            case 'p':
                result += blank + std::to_string(values.node_port);
                break;
            case 'D':
                result += values.node_directory;
                break;
            case 'm':
                result += blank + std::to_string(values.new_main_id);
                break;
            case 'H':
                result += has_main ? values.new_main_host : nobody;
                break;
            case 'r':
                result += has_main ? std::to_string(values.new_main_port) : nobody;
                break;
            case 'R':
                result += has_main ? values.new_main_directory : nobody;
                break;
            case 'M':
                result += std::to_string(values.old_main_id);
                break;
            case 'P':
                result += std::to_string(values.old_primary_id);
                break;
            case 'N':
                result += has_old_primary ? values.old_primary_host : nobody;
                break;
            case 'S':
                result += has_old_primary ? std::to_string(values.old_primary_port) : nobody;
                break;
            default:
                break;
        }
    }
    return result;
}

}  // namespace hooks::harness
